// Package providertest holds what every provider must do, whatever its vendor:
// see [Run].
package providertest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/sim"
)

// Vendor is a provider with the simulator that it speaks to.
type Vendor struct {
	Driver provider.Driver
	// Good is a credential that the simulator knows, which leads to it. Wrong
	// is one that it does not know, or nil.
	Good, Wrong map[string]string
	// Egress reaches the simulator.
	Egress egress.Config
	// Desk is where the simulator is told to fail.
	Desk *sim.Desk
	// Here is an address that is good, Gone one that the simulator calls gone.
	Here, Gone provider.Address
	// Shown gives what the simulator has taken since the last call: title and
	// text of each message.
	Shown func() []Shown
	// BadOptions are options of a message that the provider refuses; default one
	// whose priority is no word or number.
	BadOptions string
	// Limit is how large a message may be at the vendor, in bytes; 0 for none.
	Limit int
	// NoData tells that the vendor is given no data: what is too large is then a
	// title.
	NoData bool
	// Secrets must not be seen in any error or transcript.
	Secrets []string
	// Line says how the vendor is tested if it speaks no HTTP; else nil.
	Line *Line
}

// Line is what the suite has to know of a vendor with a protocol of its own.
type Line struct {
	// Method and Scheme are what begins an exchange of a transcript: SMTP, smtp://.
	Method, Scheme string
	// Statuses are faults of the desk with the kinds that they are.
	Statuses map[int]provider.Kind
	// At gives the good credential for another address of the server, host:port.
	At func(address string) map[string]string
}

// Shown is what a vendor would show.
type Shown struct{ Title, Body, ID string }

// Run holds a provider to what the platform counts on. Each test gets a vendor
// of its own.
func Run(t *testing.T, start func(t *testing.T) *Vendor) {
	for name, test := range map[string]func(*testing.T, *Vendor){
		"sends": sends, "gone": gone, "statuses": statuses, "lost": lost, "unreachable": unreachable, "slow": slow,
		"garbage": garbage, "long text": longText, "too large": tooLarge, "for now or never": forNow,
		"many at once": manyAtOnce, "check": check, "credential": credential, "transcript": transcript, "options": options,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

func (v *Vendor) make(t *testing.T, values map[string]string) provider.Provider {
	t.Helper()
	if err := v.Driver.Check(values); err != nil {
		t.Fatal(err)
	}
	p, err := v.Driver.New(provider.Config{Values: values, Egress: v.Egress})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func message(id herald.MessageID, title, body string) *provider.Message {
	return &provider.Message{
		ID: id, App: "app", Priority: herald.PriorityNormal, Expires: time.Now().Add(time.Hour),
		Content: herald.Content{Notification: &herald.Notification{Title: title, Body: body}},
	}
}

func (v *Vendor) send(t *testing.T, p provider.Provider, to provider.Address, m *provider.Message) (provider.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return p.Send(ctx, to, m)
}

// want checks an error and that it says nothing secret.
func (v *Vendor) want(t *testing.T, err error, kind provider.Kind) *provider.Error {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error %v, want the kind %s", err, kind)
	}
	if e.Text == "" {
		t.Errorf("%v has no text for people", err)
	}
	v.quiet(t, err.Error()+e.Remedy)
	return e
}

func (v *Vendor) quiet(t *testing.T, said string) {
	t.Helper()
	for _, s := range v.Secrets {
		if s != "" && strings.Contains(said, s) {
			t.Errorf("a secret is said: %s", said)
		}
	}
}

func sends(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	r, err := v.send(t, p, v.Here, message(41, "Herald", "你好, world"))
	if err != nil || r.Shortened {
		t.Fatalf("got %+v, %v", r, err)
	}
	if got := v.Shown(); len(got) != 1 || got[0].Title != "Herald" || got[0].Body != "你好, world" || got[0].ID != "" && got[0].ID != "41" {
		t.Errorf("shown %+v", got)
	}
}

func gone(t *testing.T, v *Vendor) {
	if v.Gone.Token == "" {
		return // the vendor does not say
	}
	p := v.make(t, v.Good)
	_, err := v.send(t, p, v.Gone, message(42, "a", "b"))
	_ = v.want(t, err, provider.Unregistered)
	if got := v.Shown(); len(got) != 0 {
		t.Errorf("shown %+v", got)
	}
}

func statuses(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	if _, err := v.send(t, p, v.Here, message(1, "a", "b")); err != nil { // what comes before the first message
		t.Fatal(err)
	}
	list, after := map[int]provider.Kind{500: provider.Unavailable, 502: provider.Unavailable, 503: provider.Unavailable, 504: provider.Unavailable, 429: provider.Throttled}, 7*time.Second
	if v.Line != nil {
		list, after = v.Line.Statuses, 0
	}
	for status, want := range list {
		v.Desk.Fail(sim.Fault{Status: status, RetryAfter: 7 * time.Second, Body: "<html>no</html>"})
		_, err := v.send(t, p, v.Here, message(2, "a", "b"))
		open := v.Line == nil && (status == 502 || status == 504) // whether a gateway has passed it on
		if e := v.want(t, err, want); e.RetryAfter != after || e.Unknown != open {
			t.Errorf("%d: %+v", status, e)
		}
	}
	if _, err := v.send(t, p, v.Here, message(3, "a", "b")); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func lost(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	if _, err := v.send(t, p, v.Here, message(1, "a", "b")); err != nil {
		t.Fatal(err)
	}
	v.Desk.Calls()
	v.Desk.Fail(sim.Fault{Reset: true})
	_, err := v.send(t, p, v.Here, message(2, "a", "b"))
	if e := v.want(t, err, provider.Unavailable); !e.Unknown {
		t.Errorf("the vendor may have taken it: %+v", e)
	}
	if n := len(v.Desk.Calls()); n != 1 {
		t.Errorf("%d calls were made of a message whose fate is not known", n)
	}
}

func unreachable(t *testing.T, v *Vendor) {
	// A port that was free a moment ago may be another test's by now.
	const nobody = "127.0.0.1:1"
	moved, here := map[string]string{}, v.Here
	for name, value := range v.Good {
		if strings.HasPrefix(value, "https://127.0.0.1:") {
			here.Token = strings.ReplaceAll(here.Token, value, "https://"+nobody) // where an address says itself where it leads
			value = "https://" + nobody
		}
		moved[name] = value
	}
	if v.Line != nil {
		moved = v.Line.At(nobody)
	}
	_, err := v.send(t, v.make(t, moved), here, message(2, "a", "b"))
	if e := v.want(t, err, provider.Unavailable); e.Unknown {
		t.Errorf("nobody was asked: %+v", e)
	}
}

func slow(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	if _, err := v.send(t, p, v.Here, message(1, "a", "b")); err != nil {
		t.Fatal(err)
	}
	v.Desk.Calls()
	reached := make(chan struct{})
	v.Desk.Fail(sim.Fault{Delay: time.Minute, Reached: func() { close(reached) }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := p.Send(ctx, v.Here, message(2, "a", "b"))
		ended <- err
	}()
	<-reached
	// Others are served meanwhile.
	for range 5 {
		if _, err := v.send(t, p, v.Here, message(3, "a", "b")); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if e := v.want(t, <-ended, provider.Unavailable); !e.Unknown {
		t.Errorf("the vendor may have taken it: %+v", e)
	}
}

func garbage(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	if _, err := v.send(t, p, v.Here, message(1, "a", "b")); err != nil {
		t.Fatal(err)
	}
	list := map[int]provider.Kind{400: "", 404: "", 500: provider.Unavailable} // "" is any
	if v.Line != nil {
		list = v.Line.Statuses
	}
	for _, body := range []string{"", "{", "null", "[]", `{"reason":7,"error":{"details":[null,7,{"errorCode":{}}]}}`, `{"error":"no"}`, strings.Repeat("x", 100_000)} {
		for status, want := range list {
			v.Desk.Fail(sim.Fault{Status: status, Body: body})
			_, err := v.send(t, p, v.Here, message(2, "a", "b"))
			e := (*provider.Error)(nil)
			if !errors.As(err, &e) {
				t.Errorf("%d %.20q: %v", status, body, err)
			} else if want != "" && e.Kind != want {
				t.Errorf("%d %.20q: %v", status, body, err)
			} else if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}
	}
}

func longText(t *testing.T, v *Vendor) {
	if v.Limit == 0 {
		return
	}
	p := v.make(t, v.Good)
	text := strings.Repeat("长文本🙂\"", v.Limit/8)
	r, err := v.send(t, p, v.Here, message(2, "title", text))
	if err != nil || !r.Shortened {
		t.Fatalf("got %+v, %v", r, err)
	}
	got := v.Shown()
	if len(got) != 1 || !utf8.ValidString(got[0].Body) || strings.ContainsRune(got[0].Body, utf8.RuneError) {
		t.Fatalf("shown %.200q", fmt.Sprint(got))
	}
	kept, ok := strings.CutSuffix(got[0].Body, "…")
	if !ok || !strings.HasPrefix(text, kept) || len(kept) < v.Limit/4 {
		t.Errorf("%d bytes of the text are left", len(kept))
	}
}

func tooLarge(t *testing.T, v *Vendor) {
	if v.Limit == 0 {
		return
	}
	p := v.make(t, v.Good)
	m := message(2, "title", "text")
	if v.NoData {
		m.Content.Notification.Title = strings.Repeat("x", v.Limit)
	} else {
		m.Content.Data = json.RawMessage(`{"x":"` + strings.Repeat("x", v.Limit) + `"}`)
	}
	_, err := v.send(t, p, v.Here, m)
	_ = v.want(t, err, provider.TooLarge)
	if n := len(v.Desk.Calls()); n != 0 { // the vendor would refuse it too
		t.Errorf("%d calls were made of what is known not to fit", n)
	}
}

func forNow(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	m := message(2, "title", "text")
	m.Expires = time.Time{}
	if _, err := v.send(t, p, v.Here, m); err != nil {
		t.Fatal(err)
	}
}

func manyAtOnce(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	const many = 100
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			if _, err := v.send(t, p, v.Here, message(herald.MessageID(i+1), "a", "b")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(v.Shown()); n != many {
		t.Errorf("shown %d of %d", n, many)
	}
	// What the crowd has begun to dial may come a moment later.
	next := herald.MessageID(many + 1)
	for range 50 {
		before := v.Desk.Connections()
		for range 20 {
			if _, err := v.send(t, p, v.Here, message(next, "a", "b")); err != nil {
				t.Fatal(err)
			}
			next++
		}
		if v.Desk.Connections() == before {
			return
		}
	}
	t.Errorf("connections are made for messages one after the other: %d for %d", v.Desk.Connections(), next)
}

func check(t *testing.T, v *Vendor) {
	c, ok := v.make(t, v.Good).(provider.Checker)
	if !ok {
		return
	}
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("a good credential: %v", err)
	}
	if n := len(v.Shown()); n != 0 {
		t.Errorf("verifying has shown something to %d", n)
	}
	if v.Wrong == nil {
		return
	}
	p := v.make(t, v.Wrong)
	e := v.want(t, p.(provider.Checker).Check(t.Context()), provider.Unauthorized)
	if e.Remedy == "" {
		t.Errorf("%v has no remedy", e)
	}
	_, err := v.send(t, p, v.Here, message(2, "a", "b"))
	_ = v.want(t, err, provider.Unauthorized)
	if n := len(v.Shown()); n != 0 {
		t.Errorf("shown %d", n)
	}
}

func credential(t *testing.T, v *Vendor) {
	if err := v.Driver.Check(map[string]string{"nonsense": "x"}); herald.CodeOf(err) != herald.CodeInvalidRequest {
		t.Errorf("an unknown field: %v", err)
	}
	for _, f := range v.Driver.Fields {
		if f.Help == "" {
			t.Errorf("%s has no help", f.Name)
		}
		bad := map[string]string{}
		for name, value := range v.Good {
			bad[name] = value
		}
		if delete(bad, f.Name); f.Needed && herald.CodeOf(v.Driver.Check(bad)) != herald.CodeInvalidRequest {
			t.Errorf("without %s: accepted", f.Name)
		}
		if !f.Secret || v.Good[f.Name] == "" {
			continue
		}
		bad[f.Name] = "nonsense-" + f.Name
		p, err := v.Driver.New(provider.Config{Values: bad, Egress: v.Egress})
		if err != nil {
			if strings.Contains(err.Error(), "nonsense-") {
				t.Errorf("a secret is said: %v", err)
			}
			continue
		}
		_ = p.Close()
	}
}

func transcript(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	var script provider.Transcript
	ctx := provider.WithTranscript(t.Context(), &script)
	if _, err := p.Send(ctx, v.Here, message(2, "a title", "a body")); err != nil {
		t.Fatal(err)
	}
	list := script.Exchanges()
	b, err := json.Marshal(list)
	if err != nil || len(list) == 0 {
		t.Fatalf("%s, %v", b, err)
	}
	last := list[len(list)-1]
	method, scheme := http.MethodPost, "https://"
	if v.Line != nil {
		method, scheme = v.Line.Method, v.Line.Scheme
	}
	if v.Line == nil && last.Status/100 != 2 || last.Method != method || !strings.HasPrefix(last.URL, scheme) {
		t.Errorf("the last is %+v", last)
	}
	v.quiet(t, string(b))
	if len(list) != 1 { // what gets an access token is all secret, and not taken down
		t.Errorf("%d calls are taken down", len(list))
	}
}

func options(t *testing.T, v *Vendor) {
	p := v.make(t, v.Good)
	m := message(2, "a", "b")
	m.Options = json.RawMessage(cmp.Or(v.BadOptions, `{"priority":{}}`))
	_, err := v.send(t, p, v.Here, m)
	_ = v.want(t, err, provider.Rejected)
	if n := len(v.Desk.Calls()); n != 0 {
		t.Errorf("%d calls were made with options that cannot be read", n)
	}
}
