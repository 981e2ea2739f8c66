package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
)

// DeviceAddress is a vendor's way to a device, with the first and last characters
// of the token.
type DeviceAddress struct {
	herald.VendorAddress
	RegisteredAt time.Time `json:"registered_at"`       // last
	InvalidAt    time.Time `json:"invalid_at,omitzero"` // zero: it is valid
	Reason       string    `json:"reason,omitempty"`    // why it is not
}

// Addresses are ways to a person beside devices. What is empty stays as it is.
type Addresses struct {
	Phone  string         `json:"phone,omitempty"` // E.164, e.g. +8613800138000
	Email  string         `json:"email,omitempty"`
	OpenID *OpenIDAddress `json:"openid,omitempty"`
	Chat   *ChatAddress   `json:"chat,omitempty"`
}

// OpenIDAddress is a user of a mini program.
type OpenIDAddress struct {
	AppID  string `json:"app_id"`
	OpenID string `json:"openid"`
}

// ChatAddress is a room of a chat, or somebody in it.
type ChatAddress struct {
	Name  string `json:"name"`            // of the credential that leads to the room
	Token string `json:"token,omitempty"` // who is meant there
}

// RecipientAddress is an address that a recipient has, or had.
type RecipientAddress struct {
	Kind         string    `json:"kind"`             // phone, email, openid or chat
	AppID        string    `json:"app_id,omitempty"` // of openid
	Name         string    `json:"name,omitempty"`   // of chat
	Token        string    `json:"token"`
	RegisteredAt time.Time `json:"registered_at"`       // last
	InvalidAt    time.Time `json:"invalid_at,omitzero"` // zero: it is valid
	Reason       string    `json:"reason,omitempty"`    // why it is not
}

type recipientAddresses struct {
	Addresses []RecipientAddress `json:"addresses"`
}

// Addresses lists the addresses of a recipient, newest first, also some that are
// not valid any more.
func (c *Client) Addresses(ctx context.Context, a herald.Alias) ([]RecipientAddress, error) {
	var out recipientAddresses
	err := c.do(ctx, call{method: http.MethodGet, path: addressPath(a), into: &out})
	return out.Addresses, err
}

// PutAddresses registers addresses of a recipient, who is made if nobody has the
// alias yet, and lists those that there are then.
func (c *Client) PutAddresses(ctx context.Context, a herald.Alias, list Addresses) ([]RecipientAddress, error) {
	var out recipientAddresses
	err := c.do(ctx, call{method: http.MethodPut, path: addressPath(a), body: list, into: &out})
	return out.Addresses, err
}

// DeleteAddress takes the address of a kind away from a recipient.
func (c *Client) DeleteAddress(ctx context.Context, a herald.Alias, kind string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: addressPath(a) + "/" + url.PathEscape(kind)})
}

func addressPath(a herald.Alias) string {
	return "/v1/recipients/" + url.PathEscape(string(a)) + "/addresses"
}
