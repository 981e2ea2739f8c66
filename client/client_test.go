package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server with one handler and makes a client of it that does
// not wait long.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(s.URL, MasterSecret("app", "secret"), Options{HTTPClient: s.Client(), MinWait: time.Millisecond, MaxWait: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSendSaysWhatItIsGiven(t *testing.T) {
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name string
		m    Message
		want string
	}{
		{"least", Message{Audience: herald.Audience{All: true}}, `{"audience":"all"}`},
		{"all", Message{Audience: herald.Audience{Tags: []herald.Tag{"vip"}}, Notification: &herald.Notification{Title: "T"},
			Data: json.RawMessage(`{"a":1}`), TTL: TTL(time.Minute), Priority: herald.PriorityHigh, CollapseKey: "c", OrderingKey: "o", SendAt: at, RequireTarget: true, Replaces: 7},
			`{"audience":{"tags":["vip"]},"notification":{"title":"T"},"data":{"a":1},"ttl":60,"priority":"high","collapse_key":"c","ordering_key":"o","send_at":"2027-01-02T03:04:05Z","require_target":true,"replaces":"7"}`},
		{"over time", Message{Audience: herald.Audience{All: true}, Spread: &herald.Spread{PerSecond: 9}, SendAtLocal: at, QuietHours: herald.QuietIgnore},
			`{"audience":"all","spread":{"per_second":9},"send_at_local":"2027-01-02T03:04:05","quiet_hours":"ignore"}`},
		{"now or never", Message{Audience: herald.Audience{All: true}, TTL: TTL(0)}, `{"audience":"all","ttl":0}`},
		{"part of a second", Message{Audience: herald.Audience{All: true}, TTL: TTL(time.Millisecond)}, `{"audience":"all","ttl":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != tt.want {
					t.Errorf("got  %s\nwant %s", body, tt.want)
				}
				if user, secret, _ := r.BasicAuth(); user != "app" || secret != "secret" {
					t.Errorf("credentials %q %q", user, secret)
				}
				if r.Header.Get("Idempotency-Key") == "" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("header %v", r.Header)
				}
				w.WriteHeader(http.StatusAccepted)
				fmt.Fprint(w, `{"id":"42","target":3,"unknown":1,"stored":true}`)
			})
			got, err := c.Send(t.Context(), tt.m)
			if err != nil || got.ID != 42 || *got.Target != 3 || got.Unknown != 1 || !got.Stored || got.Estimate != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestSendRepeatsWithOneKey(t *testing.T) {
	var mu sync.Mutex // a broken connection orders nothing between its handler and the next
	var keys []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		n := len(keys)
		mu.Unlock()
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusTooManyRequests)
		case 3: // the connection breaks
			panic(http.ErrAbortHandler)
		default:
			fmt.Fprint(w, `{"id":"1"}`)
		}
	})
	if _, err := c.Send(t.Context(), Message{}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(keys) != 4 || keys[0] == "" || keys[0] != keys[3] || keys[1] != keys[2] {
		t.Errorf("keys %q", keys)
	}
}

func TestSendKeepsAKeyOfYourOwn(t *testing.T) {
	key := make(chan string, 1)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		key <- r.Header.Get("Idempotency-Key")
		fmt.Fprint(w, `{"id":"1"}`)
	})
	if _, err := c.Send(t.Context(), Message{IdempotencyKey: "mine"}); err != nil {
		t.Fatal(err)
	}
	if got := <-key; got != "mine" {
		t.Errorf("the key is %q", got)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	tries := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tries++
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	_, err := c.Send(ctx, Message{})
	// The wait would outlast the deadline, so the call answers before that.
	var e *herald.Error
	if !errors.As(err, &e) || e.RetryAfter != time.Minute || tries != 1 || ctx.Err() != nil {
		t.Errorf("%v after %d tries (%v)", err, tries, ctx.Err())
	}
}

func TestTriesEnd(t *testing.T) {
	tries := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { tries++; w.WriteHeader(http.StatusBadGateway) })
	_, err := c.Message(t.Context(), 1)
	if herald.CodeOf(err) != herald.CodeStorageUnavailable || tries != 5 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 409, 413, 422, 500} {
		tries := 0
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { tries++; w.WriteHeader(status) })
		_, err := c.Send(t.Context(), Message{})
		var e *herald.Error
		if !errors.As(err, &e) || e.Code == "" || e.Remedy == "" || tries != 1 {
			t.Errorf("%d: %v after %d tries", status, err, tries)
		}
	}
}

func TestProblemIsDecoded(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"type":"about:blank","title":"Unprocessable","status":422,"code":"limit_reached","detail":"too many","remedy":"Send fewer.","field":"audience.tags"}`)
	})
	_, err := c.Send(t.Context(), Message{})
	var e *herald.Error
	if !errors.As(err, &e) || e.Code != herald.CodeLimitReached || e.Message != "too many" || e.Remedy != "Send fewer." || e.Field != "audience.tags" {
		t.Errorf("got %#v", err)
	}
}

func TestUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	c, err := New(s.URL, Key("hk1.x"), Options{Tries: 2, MinWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Message(t.Context(), 1); !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "hk1") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Message(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestStrangeAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"not JSON": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			b := make([]byte, 1<<20)
			for range maxAnswerBytes>>20 + 1 {
				w.Write(b)
			}
		},
	} {
		c := serve(t, h)
		if _, err := c.Message(t.Context(), 1); err == nil || herald.CodeOf(err) != herald.CodeInternal {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, base := range []string{"", "push.example.com", "ftp://x", "http://", "http://u:p@x", "http://x?a", "http://x#a", "http://[", "\x00"} {
		if _, err := New(base, Key("k"), Options{}); err == nil {
			t.Errorf("%q is taken", base)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the error shows a password: %v", base, err)
		}
	}
	if _, err := New("http://x", Key("a\nb"), Options{}); err == nil {
		t.Error("credentials with a line break are taken")
	}
}

func TestCredentialsDoNotPrint(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, Key("hk1.secret")); strings.Contains(s, "secret") {
			t.Errorf("%s prints %s", format, s)
		}
	}
}

// TestPaths calls every method and looks at the request it makes.
func TestPaths(t *testing.T) {
	online := true
	tests := []struct {
		want string // method, path, query, body
		call func(context.Context, *Client) error
	}{
		{"GET /v1/messages/7", func(ctx context.Context, c *Client) error { _, err := c.Message(ctx, 7); return err }},
		{"GET /v1/messages?cursor=c&limit=9&state=done", func(ctx context.Context, c *Client) error {
			_, err := c.Messages(ctx, MessageQuery{State: herald.MessageDone, Cursor: "c", Limit: 9})
			return err
		}},
		{"POST /v1/messages/7:pause", func(ctx context.Context, c *Client) error { _, err := c.PauseMessage(ctx, 7); return err }},
		{"POST /v1/messages/7:resume", func(ctx context.Context, c *Client) error { _, err := c.ResumeMessage(ctx, 7); return err }},
		{"POST /v1/messages/7:stop", func(ctx context.Context, c *Client) error { _, err := c.StopMessage(ctx, 7); return err }},
		{"DELETE /v1/messages/7", func(ctx context.Context, c *Client) error { _, err := c.Withdraw(ctx, 7); return err }},
		{"GET /v1/messages/7/devices/r", func(ctx context.Context, c *Client) error { _, err := c.Trace(ctx, 7, "r"); return err }},
		{`POST /v1/audience/estimate {"audience":"all"}`, func(ctx context.Context, c *Client) error {
			_, err := c.Estimate(ctx, herald.Audience{All: true})
			return err
		}},
		{"GET /v1/devices/r", func(ctx context.Context, c *Client) error { _, err := c.Device(ctx, "r"); return err }},
		{"GET /v1/devices?alias=a&online=true&platform=web&tag=t", func(ctx context.Context, c *Client) error {
			_, err := c.Devices(ctx, DeviceQuery{Alias: "a", Tag: "t", Platform: "web", Online: &online})
			return err
		}},
		{`PATCH /v1/devices/r {"tags_add":["t"]}`, func(ctx context.Context, c *Client) error {
			_, err := c.UpdateDevice(ctx, "r", DeviceUpdate{TagsAdd: []herald.Tag{"t"}})
			return err
		}},
		{"DELETE /v1/devices/r", func(ctx context.Context, c *Client) error { return c.RemoveDevice(ctx, "r") }},
		{"GET /v1/aliases/a%2Fb%20%3F", func(ctx context.Context, c *Client) error { _, err := c.Alias(ctx, "a/b ?"); return err }},
		{"PUT /v1/aliases/a", func(ctx context.Context, c *Client) error { _, err := c.PutAlias(ctx, "a"); return err }},
		{`POST /v1/aliases/a {"add":["r"]}`, func(ctx context.Context, c *Client) error {
			_, err := c.ChangeAlias(ctx, "a", Members{Add: []herald.RegistrationID{"r"}})
			return err
		}},
		{"DELETE /v1/aliases/a", func(ctx context.Context, c *Client) error { return c.DeleteAlias(ctx, "a") }},
		{"GET /v1/tags?prefix=p", func(ctx context.Context, c *Client) error { _, err := c.Tags(ctx, "p", "", 0); return err }},
		{"GET /v1/tags/t", func(ctx context.Context, c *Client) error { _, err := c.Tag(ctx, "t"); return err }},
		{`POST /v1/tags/t {"remove":["r"]}`, func(ctx context.Context, c *Client) error {
			_, err := c.ChangeTag(ctx, "t", Members{Remove: []herald.RegistrationID{"r"}})
			return err
		}},
		{`POST /v1/tags/t {"add":["r"],"add_files":["f"],"remove_files":["g"]}`, func(ctx context.Context, c *Client) error {
			_, err := c.ChangeTagByFiles(ctx, "t", TagMembers{Members{Add: []herald.RegistrationID{"r"}}, []herald.FileID{"f"}, []herald.FileID{"g"}})
			return err
		}},
		{`PUT /v1/segments/a%2Fb {"audience":{"tags":["t"]}}`, func(ctx context.Context, c *Client) error {
			_, err := c.SetSegment(ctx, "a/b", herald.Audience{Tags: []herald.Tag{"t"}})
			return err
		}},
		{"GET /v1/segments/s", func(ctx context.Context, c *Client) error { _, err := c.Segment(ctx, "s"); return err }},
		{"GET /v1/segments?cursor=s&limit=9", func(ctx context.Context, c *Client) error { _, err := c.Segments(ctx, "s", 9); return err }},
		{"DELETE /v1/segments/s", func(ctx context.Context, c *Client) error { return c.DeleteSegment(ctx, "s") }},
		{"POST /v1/files?name=n&of=aliases anna", func(ctx context.Context, c *Client) error {
			_, err := c.UploadFile(ctx, strings.NewReader("anna\n"), Upload{Of: OfAliases, Name: "n"})
			return err
		}},
		{"GET /v1/files/f", func(ctx context.Context, c *Client) error { _, err := c.File(ctx, "f"); return err }},
		{"GET /v1/files?limit=9", func(ctx context.Context, c *Client) error { _, err := c.Files(ctx, "", 9); return err }},
		{"DELETE /v1/files/f", func(ctx context.Context, c *Client) error { return c.DeleteFile(ctx, "f") }},
		{`POST /v1/publish {"topic":"chat/7","data":{"text":"\u003cb\u003e"}}`, func(ctx context.Context, c *Client) error {
			_, err := c.Publish(ctx, "chat/7", json.RawMessage(`{"text": "<b>"}`))
			return err
		}},
		{"GET /v1/topics?cursor=chat%2F7&limit=9&prefix=chat%2F", func(ctx context.Context, c *Client) error {
			_, err := c.Topics(ctx, "chat/", "chat/7", 9)
			return err
		}},
		{`POST /v1/publish {"topic":"a","base64":"/w==","content_type":"x/y","retain":true,"qos":1,"expires_in":60}`, func(ctx context.Context, c *Client) error {
			_, err := c.PublishWith(ctx, Publication{Topic: "a", Bytes: []byte{0xff}, ContentType: "x/y", Retain: true, QoS: 1, ExpiresIn: time.Minute})
			return err
		}},
		{"GET /v1/retained?cursor=a%2F7&limit=9&prefix=a%2F", func(ctx context.Context, c *Client) error {
			_, err := c.ListRetained(ctx, "a/", "a/7", 9)
			return err
		}},
		{"GET /v1/retained/a%2F7", func(ctx context.Context, c *Client) error { _, err := c.Retained(ctx, "a/7"); return err }},
		{"GET /v1/sessions?cursor=a&limit=9&registration_id=r", func(ctx context.Context, c *Client) error {
			_, err := c.Sessions(ctx, "r", "a", 9)
			return err
		}},
		{"GET /v1/sessions/a%2F7", func(ctx context.Context, c *Client) error { _, err := c.Session(ctx, "a/7"); return err }},
		{"DELETE /v1/sessions/a%2F7", func(ctx context.Context, c *Client) error { return c.EndSession(ctx, "a/7") }},
		{"DELETE /v1/retained/a%2F7", func(ctx context.Context, c *Client) error { return c.DeleteRetained(ctx, "a/7") }},
		{"GET /v1/messages/7/attempts", func(ctx context.Context, c *Client) error { _, err := c.Attempts(ctx, 7); return err }},
		{"GET /v1/dead_letters?limit=9", func(ctx context.Context, c *Client) error { _, err := c.DeadLetters(ctx, 9); return err }},
		{`POST /v1/dead_letters:retry {"vendor":"apns"}`, func(ctx context.Context, c *Client) error {
			_, err := c.RetryDeadLetters(ctx, DeadLetterQuery{Vendor: herald.VendorAPNs})
			return err
		}},
		{`POST /v1/dead_letters:discard {"message_id":"7"}`, func(ctx context.Context, c *Client) error {
			_, err := c.DiscardDeadLetters(ctx, DeadLetterQuery{MessageID: 7})
			return err
		}},
		{"GET /v1/topics?topic=b&topic=a%2C%26", func(ctx context.Context, c *Client) error { _, err := c.TopicCounts(ctx, "b", "a,&"); return err }},
		{`POST /v1/audience/estimate {"audience":{"topic":"chat/7"}}`, func(ctx context.Context, c *Client) error {
			_, err := c.Estimate(ctx, herald.Audience{Topic: "chat/7"})
			return err
		}},
		{"GET /v1/app", func(ctx context.Context, c *Client) error { _, err := c.App(ctx); return err }},
		{`PATCH /v1/app {"device_tags":true,"topics":{"subscribe":[],"publish":["chat/+"]}}`, func(ctx context.Context, c *Client) error {
			_, err := c.UpdateApp(ctx, AppUpdate{DeviceTags: &online, Topics: herald.TopicRules{Subscribe: []herald.TopicFilter{}, Publish: []herald.TopicFilter{"chat/+"}}})
			return err
		}},
		{"DELETE /v1/tags/t", func(ctx context.Context, c *Client) error { return c.DeleteTag(ctx, "t") }},
		{`POST /v1/receipts {"receipts":[{"id":"7","event":"displayed","registration_id":"r"}]}`, func(ctx context.Context, c *Client) error {
			_, err := c.Receipts(ctx, []Receipt{{7, herald.StateDisplayed, "r"}})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body)); got != tt.want {
					t.Errorf("got %s", got)
				}
				if strings.HasPrefix(tt.want, "DELETE /v1/messages") || r.Method != http.MethodDelete {
					fmt.Fprint(w, "{}")
				} else {
					w.WriteHeader(http.StatusNoContent)
				}
			})
			if err := tt.call(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRemovalWhoseAnswerWasLost(t *testing.T) {
	tries := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries == 1 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusNotFound)
	})
	if err := c.RemoveDevice(t.Context(), "r"); err != nil {
		t.Errorf("got %v", err)
	}
	if err := c.RemoveDevice(t.Context(), "r"); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("got %v, want not found at a first try", err)
	}
}

// A list is read once: what did not get through is not sent again in part.
func TestUploadIsTriedOnce(t *testing.T) {
	tries := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tries++
		body, _ := io.ReadAll(r.Body)
		if got := r.Header.Get("Content-Type"); got != "text/csv; charset=utf-8" || string(body) != "alias\nanna\n" {
			t.Errorf("%s: %q", got, body)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if _, err := c.UploadFile(t.Context(), strings.NewReader("alias\nanna\n"), Upload{CSV: true}); err == nil || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// A list takes as long as it takes: the time-out of other calls is not for it.
func TestUploadHasNoTimeout(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"bound":1}`) }))
	defer s.Close()
	hasty := *s.Client()
	hasty.Timeout = time.Nanosecond
	c, err := New(s.URL, MasterSecret("app", "secret"), Options{HTTPClient: &hasty})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.BindFile(t.Context(), strings.NewReader("a,b\n")); err != nil || got.Bound != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if hasty.Timeout != time.Nanosecond {
		t.Error("the time-out of the given client was changed")
	}
}
