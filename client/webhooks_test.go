package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	otherSignature  = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
)

func vector(change map[string]string) http.Header {
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", vectorSignature)
	for name, value := range change {
		h.Set(name, value)
	}
	return h
}

// TestVerifyWebhook uses the vector that the libraries of Standard Webhooks are
// tested with, and the changes to it that must not pass.
func TestVerifyWebhook(t *testing.T) {
	at := time.Unix(1614265330, 0)
	type set map[string]string
	for _, tt := range []struct {
		name    string
		change  set
		body    string
		now     time.Time
		secrets []string
		want    error
	}{
		{"as it is", nil, vectorBody, at, []string{vectorSecret}, nil},
		{"secret without prefix", nil, vectorBody, at, []string{vectorSecret[6:]}, nil},
		{"several secrets", nil, vectorBody, at, []string{"whsec_AAAA", "no base64!", "", vectorSecret}, nil},
		{"several signatures", set{"webhook-signature": otherSignature + " v2,xxx v1a,yyy " + vectorSignature}, vectorBody, at, []string{vectorSecret}, nil},
		{"a little late", nil, vectorBody, at.Add(WebhookTolerance), []string{vectorSecret}, nil},
		{"another body", nil, vectorBody + " ", at, []string{vectorSecret}, ErrWebhookSignature},
		{"another ID", set{"webhook-id": "msg_x"}, vectorBody, at, []string{vectorSecret}, ErrWebhookSignature},
		{"another time", set{"webhook-timestamp": "1614265331"}, vectorBody, at, []string{vectorSecret}, ErrWebhookSignature},
		{"another secret", nil, vectorBody, at, []string{"whsec_AAAA"}, ErrWebhookSignature},
		{"no secret", nil, vectorBody, at, nil, ErrWebhookSignature},
		{"another version", set{"webhook-signature": "v2" + vectorSignature[2:]}, vectorBody, at, []string{vectorSecret}, ErrWebhookSignature},
		{"no version", set{"webhook-signature": vectorSignature[3:]}, vectorBody, at, []string{vectorSecret}, ErrWebhookSignature},
		{"part of a signature", set{"webhook-signature": vectorSignature[:40]}, vectorBody, at, []string{vectorSecret}, ErrWebhookSignature},
		{"late", nil, vectorBody, at.Add(WebhookTolerance + time.Second), []string{vectorSecret}, ErrWebhookTime},
		{"early", nil, vectorBody, at.Add(-WebhookTolerance - time.Second), []string{vectorSecret}, ErrWebhookTime},
		{"no ID", set{"webhook-id": ""}, vectorBody, at, []string{vectorSecret}, ErrWebhookHeaders},
		{"no time", set{"webhook-timestamp": ""}, vectorBody, at, []string{vectorSecret}, ErrWebhookHeaders},
		{"no number", set{"webhook-timestamp": "now"}, vectorBody, at, []string{vectorSecret}, ErrWebhookHeaders},
		{"no signature", set{"webhook-signature": ""}, vectorBody, at, []string{vectorSecret}, ErrWebhookHeaders},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := verifyWebhook(vector(tt.change), []byte(tt.body), tt.now, tt.secrets); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := VerifyWebhook(vector(nil), []byte(vectorBody), vectorSecret); !errors.Is(err, ErrWebhookTime) {
		t.Errorf("now: %v", err)
	}
}

func FuzzVerifyWebhook(f *testing.F) {
	f.Add("msg", "1614265330", vectorSignature, []byte(vectorBody), vectorSecret)
	f.Add("", "x", "v1, v1,", []byte("{"), "whsec_")
	f.Fuzz(func(t *testing.T, id, stamp, signature string, body []byte, secret string) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}
		if _, err := verifyWebhook(h, body, time.Unix(1614265330, 0), []string{secret}); err == nil && secret == vectorSecret && string(body) != vectorBody {
			t.Error("another body passes")
		}
	})
}

// TestWebhookCalls holds what each method says to the server, and what it reads.
func TestWebhookCalls(t *testing.T) {
	ctx := context.Background()
	yes, at := true, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, call := range map[string]func(c *Client) (string, error){
		`POST /v1/webhooks {"url":"https://x/","events":["*"]}`: func(c *Client) (string, error) {
			w, err := c.CreateWebhook(ctx, WebhookSpec{URL: "https://x/", Events: []string{"*"}})
			return w.ID + w.Secret, err
		},
		`GET /v1/webhooks `: func(c *Client) (string, error) {
			list, err := c.Webhooks(ctx)
			return list[0].ID + "s", err
		},
		`GET /v1/webhooks/a%2Fb `: func(c *Client) (string, error) { w, err := c.Webhook(ctx, "a/b"); return w.ID + w.Secret, err },
		`PATCH /v1/webhooks/w {"disabled":true}`: func(c *Client) (string, error) {
			w, err := c.UpdateWebhook(ctx, "w", WebhookUpdate{Disabled: &yes})
			return w.ID + w.Secret, err
		},
		`DELETE /v1/webhooks/w `: func(c *Client) (string, error) { return "ws", c.DeleteWebhook(ctx, "w") },
		`POST /v1/webhooks/w/rotate {"overlap":3600}`: func(c *Client) (string, error) {
			w, err := c.RotateWebhook(ctx, "w", time.Hour)
			return w.ID + w.Secret, err
		},
		`POST /v1/webhooks/w/test `: func(c *Client) (string, error) { d, err := c.TestWebhook(ctx, "w"); return d.ID + "s", err },
		`GET /v1/webhooks/w/deliveries?cursor=c&limit=7 `: func(c *Client) (string, error) {
			p, err := c.WebhookDeliveries(ctx, "w", "c", 7)
			return p.Deliveries[0].ID + "s", err
		},
		`POST /v1/webhooks/w/replay {"delivery":"d"}`: func(c *Client) (string, error) {
			w, err := c.ReplayDelivery(ctx, "w", "d")
			return w.ID + w.Secret, err
		},
		`POST /v1/webhooks/w/replay {"since":"2026-01-02T03:04:05Z"}`: func(c *Client) (string, error) {
			w, err := c.ReplayWebhook(ctx, "w", at)
			return w.ID + w.Secret, err
		},
	} {
		got := ""
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = r.Method + " " + r.URL.RequestURI() + " " + string(body)
			_, _ = io.WriteString(w, `{"id":"w","secret":"s","webhooks":[{"id":"w"}],"deliveries":[{"id":"w"}]}`)
		})
		if answer, err := call(c); err != nil || got != want || answer != "ws" {
			t.Errorf("got %s and %q, %v; want %s", got, answer, err, want)
		}
	}
}

// TestWebhookOnce holds that a lost answer does not make a second webhook.
func TestWebhookOnce(t *testing.T) {
	calls := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusBadGateway)
	})
	if _, err := c.CreateWebhook(context.Background(), WebhookSpec{URL: "https://x/"}); err == nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
