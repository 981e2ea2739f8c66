package device

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client/internal/problem"
)

// requestTimeout bounds a registration and the opening of a connection.
const requestTimeout = 15 * time.Second

// ErrUnreachable is in the chain of errors of calls that got no answer.
var ErrUnreachable = errors.New("no answer from the server")

// Register makes a device of the options and registers it, once. If the server
// cannot be reached but the device is known from an earlier run, that is no
// error: Listen will connect when it can.
func Register(ctx context.Context, o Options) (*Device, error) {
	d, err := New(o)
	if err != nil {
		return nil, err
	}
	err = d.register(ctx)
	if errors.Is(err, ErrUnreachable) && d.identity().Token != "" && ctx.Err() == nil {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// registration is the body of POST /v1/devices.
type registration struct {
	AppKey       herald.AppKey     `json:"app_key"`
	Installation string            `json:"installation"`
	Platform     herald.Platform   `json:"platform,omitempty"`
	AppVersion   string            `json:"app_version,omitempty"`
	Language     string            `json:"language,omitempty"`
	TimeZone     string            `json:"time_zone,omitempty"`
	Alias        herald.Alias      `json:"alias,omitempty"`
	AliasToken   string            `json:"alias_token,omitempty"`
	Tags         []herald.Tag      `json:"tags,omitempty"`
	Attributes   map[string]string `json:"attributes,omitempty"`

	Addresses []herald.VendorAddress `json:"addresses,omitempty"`
}

func (d *Device) register(ctx context.Context) error {
	id := d.identity()
	body, err := json.Marshal(registration{
		AppKey: d.o.AppKey, Installation: id.Installation, Platform: d.o.Platform, AppVersion: d.o.AppVersion,
		Language: d.o.Language, TimeZone: d.o.TimeZone, Alias: d.o.Alias, AliasToken: d.o.AliasToken,
		Tags: d.o.Tags, Attributes: d.o.Attributes, Addresses: d.o.Addresses,
	})
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+"/v1/devices", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.o.HTTPClient.Do(req)
	if err != nil {
		var detail *url.Error
		if errors.As(err, &detail) {
			err = detail.Err
		}
		return fmt.Errorf("device: %s: %w: %w", d.base, ErrUnreachable, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("device: %s: %w: %w", d.base, ErrUnreachable, err)
	}
	if resp.StatusCode/100 != 2 {
		return problem.Read(resp, text, time.Now())
	}
	var answer struct {
		RegistrationID herald.RegistrationID `json:"registration_id"`
		Token          string                `json:"token"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || !answer.RegistrationID.Valid() || answer.Token == "" {
		return errors.New("device: the answer to the registration is not what this version understands")
	}
	return d.keep(answer.RegistrationID, answer.Token)
}

// keep remembers what the server said of this device, and stores it.
func (d *Device) keep(id herald.RegistrationID, token string) error {
	d.mu.Lock()
	d.id.RegistrationID, d.id.Token = id, token
	now := d.id
	d.mu.Unlock()
	if err := d.o.Store.Save(now); err != nil {
		return fmt.Errorf("device: the identity cannot be stored: %w", err)
	}
	return nil
}
