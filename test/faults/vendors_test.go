package faults_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/sim/apns"
	"github.com/herald-push/herald/internal/sim/twilio"
)

const (
	vendorBatch = 512 // calls between two commits, as the courier has it
	vendorCalls = 64  // at once
)

// counter is a vendor that fails as it is told, and counts what it is asked.
type counter struct {
	vendor http.Handler
	who    func(*http.Request) string
	calm   bool // no call fails

	mu     sync.Mutex // guards what follows
	most   int        // so many calls of a life are answered; negative: all
	life   int        // calls in this life
	all    int
	errors int // answers and resets that are to be tried again, or may be
	hung   int // calls in this life that were not answered
	past   int // calls that hung beyond those that were under way at a kill
	calls  map[string]int
	shown  map[string]int // who has it from the vendor
	no     map[string]int // clear refusals
	wrong  []string
}

// ServeHTTP lets three of ten calls fail: two are refused, of one the vendor's
// answer is lost. Who comes too late in this life gets no answer at all, and
// every second of them has it.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	who := c.who(r)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	c.mu.Lock()
	n := c.all
	c.all, c.life = c.all+1, c.life+1
	c.calls[who]++
	hangs := c.most >= 0 && c.life > c.most
	refused := !hangs && !c.calm && (n%10 == 2 || n%10 == 5)
	lost := !hangs && !c.calm && n%10 == 8
	switch {
	case hangs:
		c.hung++
	case refused:
		c.no[who]++
		c.errors++
	case lost:
		c.errors++
	}
	if shows := !refused && (!hangs || n%2 == 0); shows {
		c.shown[who]++
		answer := httptest.NewRecorder()
		if c.vendor.ServeHTTP(answer, r); answer.Code/100 != 2 {
			c.wrong = append(c.wrong, fmt.Sprintf("the vendor refuses %s: %d %s", who, answer.Code, answer.Body))
		}
		if !hangs && !lost {
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		}
	}
	c.mu.Unlock()
	switch {
	case hangs:
		<-r.Context().Done()
	case lost:
		panic(http.ErrAbortHandler)
	case refused:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// allow begins a life.
func (c *counter) allow(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past += max(0, c.hung-vendorCalls)
	c.most, c.life, c.hung = most, 0, 0
}

// stuck reports whether a call is under way that gets no answer.
func (c *counter) stuck() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hung > 0
}

func newCounter(t *testing.T, vendor http.Handler, who func(*http.Request) string) (*counter, string) {
	t.Helper()
	c := &counter{vendor: vendor, who: who, most: -1, calls: map[string]int{}, shown: map[string]int{}, no: map[string]int{}}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, s.URL
}

// clientele is an app whose devices and people vendors reach.
type clientele struct {
	t             *testing.T
	n             *node
	app           account
	client        *http.Client
	apple, phones *counter
	devices       int // with an address of Apple's
	people        int // to whom so many of them belong, with a telephone
}

func (c *clientele) call(method, path string, body, into any) {
	c.t.Helper()
	r := c.n.call(c.t.Context(), c.client, method, path, c.app.basic(), "", body)
	if r.status/100 != 2 || into != nil && json.Unmarshal(r.body, into) != nil {
		c.t.Errorf("%s %s: status %d: %s %v", method, path, r.status, r.body, r.err)
	}
}

const bundle = "com.example.app"

// appleKey makes a key for APNs, also as the text of a .p8 file.
func appleKey(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func appleCredential(key, address string) map[string]any {
	return map[string]any{"vendor": "apns", "values": map[string]string{
		"topic": bundle, "key": key, "key_id": "ABC123DEFG", "team_id": "TEAM000001", "url": address,
	}}
}

// newClientele plays both vendors, whose clock is ahead by what the server's is.
func newClientele(t *testing.T, ahead *atomic.Int64, devices, people int) *clientele {
	t.Helper()
	key, text := appleKey(t)
	const account, number = "AC0123456789abcdef0123456789abcdef", "+12025550100"
	c := &clientele{t: t, devices: devices, people: people, client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	var appleURL, phonesURL string
	c.apple, appleURL = newCounter(t, apns.New(apns.Config{
		Keys: map[string]*ecdsa.PublicKey{"ABC123DEFG": &key.PublicKey}, TeamID: "TEAM000001", Topics: []string{bundle},
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	}), func(r *http.Request) string { return r.URL.Path })
	c.phones, phonesURL = newCounter(t, twilio.New(twilio.Config{Account: account, Token: "secret", From: number}), func(r *http.Request) string {
		b, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(b))
		return form.Get("To")
	})
	c.n = newNode(t, planted(t), "HERALD_EGRESS__ALLOW=loopback", "HERALD_EGRESS__PORTS=any", "HERALD_EGRESS__HTTP=true")
	t.Cleanup(c.client.CloseIdleConnections)
	c.n.mustStart()
	c.app = c.n.createApp("app")
	c.call(http.MethodPost, "/v1/credentials", appleCredential(text, appleURL), nil)
	c.call(http.MethodPost, "/v1/credentials", map[string]any{"vendor": "twilio", "values": map[string]string{
		"account_sid": account, "auth_token": "secret", "from": number, "url": phonesURL,
	}}, nil)
	return c
}

// gather registers everybody.
func (c *clientele) gather() {
	var busy sync.WaitGroup
	var next atomic.Int64
	for range 32 {
		busy.Go(func() {
			for i := next.Add(1) - 1; i < int64(c.devices); i = next.Add(1) - 1 {
				d := map[string]any{"addresses": []map[string]string{{"vendor": "apns", "token": token(i + 1)}}}
				if i < int64(c.people) {
					d["alias"] = person(int(i))
				}
				c.call(http.MethodPost, "/v1/devices", d, nil)
				if i < int64(c.people) {
					c.call(http.MethodPut, "/v1/recipients/"+person(int(i))+"/addresses", map[string]string{"phone": telephone(int(i))}, nil)
				}
			}
		})
	}
	busy.Wait()
	c.client.CloseIdleConnections() // which the next life would not know
	if c.t.Failed() {
		c.t.FailNow()
	}
}

func person(i int) string    { return fmt.Sprintf("person-%d", i) }
func telephone(i int) string { return fmt.Sprintf("+1202556%04d", i) }

// outcomes asks what came of a message, and counts it by vendor.
func (c *clientele) outcomes(id herald.MessageID) (r client.AttemptReport, by map[herald.Vendor]int64) {
	c.call(http.MethodGet, "/v1/messages/"+id.String()+"/attempts", nil, &r)
	by = map[herald.Vendor]int64{}
	for _, o := range r.Outcomes {
		by[o.Vendor] += o.Count
	}
	return r, by
}

func vendorMessage() map[string]any {
	return map[string]any{
		"audience": "all", "notification": map[string]string{"title": "Hello"},
		"route": map[string]any{"steps": []map[string]string{{"channel": "vendor"}, {"channel": "sms"}}},
	}
}

// TestKillWhileVendorsAreCalled kills the server in the middle of calls to two
// vendors that fail often. Everybody comes to one outcome; who would be shown a
// copy is never asked again unless the vendor had clearly refused, and the others
// no more often than a lost batch explains.
func TestKillWhileVendorsAreCalled(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	c := newClientele(t, &ahead, 2000, 400)
	c.gather()
	const kills = 3
	var sent struct{ ID herald.MessageID }
	env := c.n.env
	for life := range kills + 1 {
		if life == kills {
			c.apple.allow(-1)
			c.phones.allow(-1)
		} else {
			c.apple.allow(400)
			c.phones.allow(20)
		}
		if life > 0 { // later than what was under way is leased
			ahead.Store(int64(time.Duration(life) * 3 * time.Minute))
			c.n.env = append(env[:len(env):len(env)], "FAULTS_CLOCK="+time.Duration(ahead.Load()).String())
			c.n.mustStart()
		} else {
			c.call(http.MethodPost, "/v1/messages", vendorMessage(), &sent)
		}
		if life < kills {
			until(t, "calls to both vendors are under way", func() bool { return c.apple.stuck() && c.phones.stuck() })
			c.n.kill()
			c.client.CloseIdleConnections()
		}
	}
	c.settle(sent.ID, kills)
}

// settle waits until everybody has come to an outcome, and holds it to what
// vendors saw.
func (c *clientele) settle(id herald.MessageID, kills int) {
	t := c.t
	t.Helper()
	until(t, "everybody has come to an outcome", func() bool {
		_, by := c.outcomes(id)
		return by[herald.VendorAPNs] >= int64(c.devices) && by[herald.VendorTwilio] >= int64(c.people)
	})
	c.check(id, kills)
	if code := c.n.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, wrong := range inspect(c.n.data, true) {
		t.Error(wrong)
	}
}

// check holds what vendors were asked and what the server says to each other,
// when everybody has come to an outcome.
func (c *clientele) check(id herald.MessageID, kills int) {
	t := c.t
	t.Helper()
	r, by := c.outcomes(id)
	if by[herald.VendorAPNs] != int64(c.devices) || by[herald.VendorTwilio] != int64(c.people) {
		t.Errorf("%v came to an outcome, want %d and %d", by, c.devices, c.people)
	}
	for _, o := range r.Outcomes {
		if o.Outcome != "accepted" && (o.Vendor != herald.VendorTwilio || o.Outcome != "unknown") {
			t.Errorf("%d of %s are %s (%s)", o.Count, o.Vendor, o.Outcome, o.Code)
		}
	}
	for _, v := range []*counter{c.apple, c.phones} {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, wrong := range v.wrong {
			t.Error(wrong)
		}
	}
	if n := len(c.apple.shown); n != c.devices {
		t.Errorf("Apple has taken it for %d devices", n)
	}
	// What hung when the server was killed is of the batch that was lost.
	most := c.devices + c.apple.errors + kills*vendorBatch + c.apple.past
	if c.apple.all > most {
		t.Errorf("Apple was asked %d times, which is more than %d", c.apple.all, most)
	}
	outcome := map[herald.Alias]string{}
	for _, a := range r.Attempts {
		if a.Alias != "" && outcome[a.Alias] != "" {
			t.Errorf("%s has two outcomes", a.Alias)
		}
		outcome[a.Alias] = a.Outcome
	}
	lost := 0
	for i := range c.people {
		to, came := telephone(i), outcome[herald.Alias(person(i))]
		calls, shown, refused := c.phones.calls[to], c.phones.shown[to], c.phones.no[to]
		if came == "unknown" {
			lost++
		}
		if calls-refused > 1 || shown > 1 || came != "unknown" && came != "accepted" || came == "accepted" && shown != 1 {
			t.Errorf("%s is %q: asked %d times, of which %d were refused, and shown %d times", to, came, calls, refused, shown)
		}
	}
	t.Logf("Apple was asked %d times, at most %d; Twilio %d times; of %d people it is not known", c.apple.all, most, c.phones.all, lost)
}

// TestCrashOnTheWayToVendors ends the process between two steps of what leads a
// message to vendors: when a step was planned, and when calls were made and
// nothing of it was written down.
func TestCrashOnTheWayToVendors(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"planned_route:1", "planned_route:2", "called:1", "called:2"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			c := newClientele(t, &ahead, 60, 30)
			c.gather()
			c.settle(c.crash(point, &ahead, vendorMessage()), 1)
		})
	}
}

// crash sends a message, on whose way the process ends at a point, and starts it
// again three minutes later, when what was under way is not leased any more.
func (c *clientele) crash(point string, ahead *atomic.Int64, message map[string]any) herald.MessageID {
	t := c.t
	t.Helper()
	if code := c.n.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	env := c.n.env
	c.n.env = append(env[:len(env):len(env)], "FAULTS_POINT="+point)
	c.n.mustStart()
	// The process may end before it answers: the key tells whether it took it.
	_ = c.n.call(t.Context(), c.client, http.MethodPost, "/v1/messages", c.app.basic(), "once", message)
	select {
	case <-c.n.exited:
	case <-time.After(patience):
		t.Fatalf("the server did not pass %s", point)
	}
	c.client.CloseIdleConnections()
	ahead.Store(int64(3 * time.Minute))
	c.n.env = append(env[:len(env):len(env)], "FAULTS_CLOCK=3m")
	c.n.mustStart()
	var sent struct{ ID herald.MessageID }
	if r := c.n.call(t.Context(), c.client, http.MethodPost, "/v1/messages", c.app.basic(), "once", message); r.status/100 != 2 || json.Unmarshal(r.body, &sent) != nil {
		t.Fatalf("sending once more: %d %s %v", r.status, r.body, r.err)
	}
	return sent.ID
}
