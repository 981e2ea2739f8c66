package client

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

func TestRoutes(t *testing.T) {
	const steps = `"steps":[{"channel":"live"},{"channel":"sms","after":"1m30s"}]`
	const text = `{"name":"a/b",` + steps + `,"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"}`
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		at := r.Method + " " + r.URL.RequestURI()
		asked = append(asked, strings.TrimSpace(at+" "+string(body)))
		switch at {
		case "DELETE /v1/routes/a%2Fb":
			w.WriteHeader(http.StatusNoContent)
		case "GET /v1/routes":
			fmt.Fprint(w, `{"routes":[`+text+`]}`)
		case "POST /v1/messages":
			fmt.Fprint(w, `{"id":"1"}`)
		case "GET /v1/messages/1":
			fmt.Fprint(w, `{"id":"1","audience":"all","route":{"name":"a/b",`+steps+`},"debug":true,"digest":{"key":"k","window":"5m"}}`)
		default:
			fmt.Fprint(w, text)
		}
	})
	ctx := t.Context()
	route := herald.Route{Steps: []herald.RouteStep{{Channel: herald.ChannelLive}, {Channel: herald.ChannelSMS, After: herald.Duration(90 * time.Second)}}}
	for _, call := range []func() (Route, error){
		func() (Route, error) { return c.SetRoute(ctx, "a/b", route) },
		func() (Route, error) { return c.Route(ctx, "a/b") },
		func() (Route, error) {
			list, err := c.Routes(ctx)
			if len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			return list[0], err
		},
	} {
		if got, err := call(); err != nil || got.Name != "a/b" || len(got.Steps) != 2 || got.Steps[1].After != route.Steps[1].After || got.CreatedAt.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if err := c.DeleteRoute(ctx, "a/b"); err != nil {
		t.Error(err)
	}
	digest := &herald.Digest{Key: "k", Window: herald.Duration(5 * time.Minute)}
	for _, use := range []herald.RouteUse{{Name: "a/b"}, {Steps: route.Steps}} {
		if _, err := c.Send(ctx, Message{Audience: herald.Audience{All: true}, Route: &use, Debug: true, Digest: digest}); err != nil {
			t.Error(err)
		}
	}
	if m, err := c.Message(ctx, 1); err != nil || m.Route == nil || m.Route.Name != "a/b" || len(m.Route.Steps) != 2 || !m.Debug || m.Digest == nil || *m.Digest != *digest {
		t.Errorf("%+v, %v", m, err)
	}
	const more = `,"debug":true,"digest":{"key":"k","window":"5m"}}`
	want := []string{
		`PUT /v1/routes/a%2Fb {` + steps + `}`, `GET /v1/routes/a%2Fb`, `GET /v1/routes`, `DELETE /v1/routes/a%2Fb`,
		`POST /v1/messages {"audience":"all","route":"a/b"` + more, `POST /v1/messages {"audience":"all","route":{` + steps + `}` + more,
		`GET /v1/messages/1`,
	}
	if got := strings.Join(asked, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("asked\n%s", got)
	}
}
