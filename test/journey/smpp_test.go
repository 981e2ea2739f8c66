package journey_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/smpp"
)

// sms is what the service centre of another maker has taken.
type sms struct {
	ID, Text   string
	From, To   []any
	Coding     int
	Registered int
	ValidFor   float64 // milliseconds
	Parts      int
}

// askFor gives a command to a script, and reads its answer.
func askFor[T any](t *testing.T, h *helper, command string) (out T) {
	t.Helper()
	if err := json.Unmarshal(h.ask(t, object{"cmd": command}), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSMPP has a service centre of another maker, npm smpp, judge what is submitted,
// and send receipts.
func TestSMPP(t *testing.T) {
	centre := useHelper(t, "smpp.mjs")
	port := askFor[int](t, centre, "listen")
	values := map[string]string{
		"host": "127.0.0.1", "port": strconv.Itoa(port), "security": "none", "system_id": "herald", "password": "pa55word", "source": "Herald",
	}
	open := func(password string) provider.Provider {
		values["password"] = password
		p, err := smpp.New(provider.Config{Values: values, Egress: egress.Config{Allow: []string{"loopback"}, Ports: []string{"any"}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	var refused *provider.Error
	if err := open("wrong").(provider.Checker).Check(t.Context()); !errors.As(err, &refused) || refused.Kind != provider.Unauthorized {
		t.Errorf("a wrong password: %v", err)
	}
	p := open("pa55word")
	if err := p.(provider.Checker).Check(t.Context()); err != nil {
		t.Errorf("verifying: %v", err)
	}
	reports := make(chan provider.Report, 100)
	p.(provider.Listener).Listen(func(r provider.Report) { reports <- r })
	parts := 0 // each has a receipt
	for i, row := range []struct {
		name, text string
		coding     int
		parts      int
	}{
		{"GSM", "Code 1234 @ £5, 10 € [a] {b} ~ ^ | \\ é Ω ñ à", 0, 1},
		{"Chinese", "你的验证码是 1234，请勿告诉他人。", 8, 1},
		{"beyond the basic plane", "🙂👍🏽", 8, 1},
		{"long GSM", strings.Repeat("0123456789€", 40), 0, 4}, // 12 septets each
		{"long Chinese", strings.Repeat("中文🙂", 60), 8, 4},
	} {
		for _, to := range []string{"+8613800138000", "+8613800138001"} {
			m := &provider.Message{
				ID: herald.MessageID(i + 1), Expires: time.Now().Add(2 * time.Hour),
				Content: herald.Content{Notification: &herald.Notification{Body: row.text}},
			}
			r, err := p.Send(t.Context(), provider.Address{Token: to}, m)
			if err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			got := askFor[[]sms](t, centre, "taken")
			if len(got) != 1 {
				t.Fatalf("%s: %+v", row.name, got)
			}
			one := got[0]
			parts += one.Parts
			if one.Text != row.text || one.Coding != row.coding || one.Parts != row.parts || r.Parts != row.parts || one.ID != r.Reference || one.Registered != 1 {
				t.Errorf("%s: %+v, result %+v", row.name, one, r)
			}
			if !slices.Equal(one.From, []any{5.0, 0.0, "Herald"}) || !slices.Equal(one.To, []any{1.0, 1.0, to[1:]}) {
				t.Errorf("%s: from %v to %v", row.name, one.From, one.To)
			}
			if valid := time.Duration(one.ValidFor) * time.Millisecond; valid < time.Hour || valid > 3*time.Hour {
				t.Errorf("%s: valid for %s", row.name, valid)
			}
			select {
			case report := <-reports:
				if delivered := report.State == herald.StateReceived; report.Reference != r.Reference || delivered != strings.HasSuffix(to, "0") || delivered != (report.Err == nil) {
					t.Errorf("%s: %+v for %+v", row.name, report, r)
				}
			case <-time.After(patience):
				t.Fatalf("%s: no report comes", row.name)
			}
		}
	}
	_, err := p.Send(t.Context(), provider.Address{Token: "+8613800138009"}, &provider.Message{Content: herald.Content{Notification: &herald.Notification{Body: "a"}}})
	if !errors.As(err, &refused) || refused.Kind != provider.Throttled {
		t.Errorf("throttled: %v", err)
	}
	if got := askFor[[]string](t, centre, "ask"); !slices.Equal(got, []string{"enquire_link_resp"}) {
		t.Errorf("it is alive: %q", got)
	}
	for end := time.Now().Add(patience); askFor[int](t, centre, "answered") != parts; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not all receipts are answered")
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	asked := askFor[[]string](t, centre, "asked")
	if last := asked[len(asked)-1]; last != "unbind" || slices.Contains(asked, "unknown") || slices.Contains(asked, "generic_nack") {
		t.Errorf("it was asked %q", asked)
	}
	if n := len(reports); n != 0 {
		t.Errorf("%d more reports", n)
	}
}
