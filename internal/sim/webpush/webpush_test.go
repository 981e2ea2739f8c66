package webpush_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald/internal/sim/webpush"
)

const origin = "https://push.sim.test"

type world struct {
	service *webpush.Service
	key     *ecdsa.PrivateKey
	public  string
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{key: key, public: base64.RawURLEncoding.EncodeToString(point), now: time.Now()}
	w.service = webpush.New(webpush.Config{URL: origin, Now: func() time.Time { return w.now }})
	return w
}

// authorization signs claims that a test has changed.
func (w *world) authorization(t *testing.T, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{"aud": origin, "exp": w.now.Add(time.Hour).Unix(), "sub": "mailto:a@b.example"}
	if change != nil {
		change(claims)
	}
	word, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(w.key)
	if err != nil {
		t.Fatal(err)
	}
	return "vapid t=" + word + ", k=" + w.public
}

func (w *world) ask(method, address string, header map[string]string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, address, bytes.NewReader(body))
	for name, v := range header {
		r.Header.Set(name, v)
	}
	rec := httptest.NewRecorder()
	w.service.ServeHTTP(rec, r)
	return rec
}

// sealed is a body that has the form of one, which no browser can read.
func sealed(t *testing.T, size int) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return append(append(append(make([]byte, 16), 0, 0, 16, 0, 65), point...), make([]byte, size-86)...)
}

func TestPush(t *testing.T) {
	w := newWorld(t)
	mine, err := w.service.Subscribe(w.public)
	if err != nil {
		t.Fatal(err)
	}
	anybodys, err := w.service.Subscribe("")
	if err != nil {
		t.Fatal(err)
	}
	gone, err := w.service.Subscribe("")
	if err != nil {
		t.Fatal(err)
	}
	others, err := w.service.Subscribe(newWorld(t).public)
	if err != nil {
		t.Fatal(err)
	}
	w.service.Remove(gone.Endpoint)
	w.service.Remove("nobody")
	good := w.authorization(t, nil)
	signed := func(change func(jwt.MapClaims)) map[string]string {
		return map[string]string{"Authorization": w.authorization(t, change)}
	}
	bad := bytes.Clone(sealed(t, 200))
	bad[25] ^= 1
	for name, tt := range map[string]struct {
		endpoint string
		header   map[string]string
		body     []byte
		status   int
		errno    int
	}{
		"good":             {mine.Endpoint, nil, nil, 201, 0},
		"without a body":   {mine.Endpoint, nil, []byte{}, 201, 0},
		"the largest":      {mine.Endpoint, nil, sealed(t, 4096), 201, 0},
		"unsigned":         {anybodys.Endpoint, map[string]string{"Authorization": ""}, nil, 201, 0},
		"not unsigned":     {mine.Endpoint, map[string]string{"Authorization": ""}, nil, 401, 109},
		"gone":             {gone.Endpoint, nil, nil, 410, 106},
		"nobody":           {origin + "/wpush/v2/x", nil, nil, 404, 102},
		"another's":        {others.Endpoint, nil, nil, 403, 109},
		"too large":        {mine.Endpoint, nil, sealed(t, 4097), 413, 104},
		"no TTL":           {mine.Endpoint, map[string]string{"TTL": ""}, nil, 400, 111},
		"TTL":              {mine.Endpoint, map[string]string{"TTL": "-1"}, nil, 400, 112},
		"topic":            {mine.Endpoint, map[string]string{"Topic": strings.Repeat("a", 33)}, nil, 400, 113},
		"urgency":          {mine.Endpoint, map[string]string{"Urgency": "fast"}, nil, 400, 110},
		"encoding":         {mine.Endpoint, map[string]string{"Content-Encoding": "aesgcm"}, nil, 400, 110},
		"short":            {mine.Endpoint, nil, []byte("x"), 400, 110},
		"no point":         {mine.Endpoint, nil, bad, 400, 110},
		"another ID":       {mine.Endpoint, nil, make([]byte, 200), 400, 110},
		"scheme":           {mine.Endpoint, map[string]string{"Authorization": "WebPush x"}, nil, 401, 109},
		"no key":           {mine.Endpoint, map[string]string{"Authorization": "vapid t=x, k=!"}, nil, 401, 109},
		"key off curve":    {mine.Endpoint, map[string]string{"Authorization": "vapid t=x, k=AAAA"}, nil, 401, 109},
		"another's word":   {mine.Endpoint, map[string]string{"Authorization": strings.Replace(newWorld(t).authorization(t, nil), "k=", "k="+w.public+", x=", 1)}, nil, 403, 109},
		"audience":         {mine.Endpoint, signed(func(c jwt.MapClaims) { c["aud"] = "https://other" }), nil, 403, 109},
		"ended":            {mine.Endpoint, signed(func(c jwt.MapClaims) { c["exp"] = w.now.Add(-time.Minute).Unix() }), nil, 403, 109},
		"too far":          {mine.Endpoint, signed(func(c jwt.MapClaims) { c["exp"] = w.now.Add(25 * time.Hour).Unix() }), nil, 403, 109},
		"no end":           {mine.Endpoint, signed(func(c jwt.MapClaims) { delete(c, "exp") }), nil, 403, 109},
		"no subject":       {mine.Endpoint, signed(func(c jwt.MapClaims) { delete(c, "sub") }), nil, 403, 109},
		"a subject nearby": {mine.Endpoint, signed(func(c jwt.MapClaims) { c["sub"] = "mailto:a@localhost" }), nil, 403, 109},
	} {
		header := map[string]string{"TTL": "60", "Content-Encoding": "aes128gcm", "Authorization": good}
		for name, v := range tt.header {
			header[name] = v
		}
		body := tt.body
		if body == nil {
			body = sealed(t, 200)
		}
		rec := w.ask(http.MethodPost, tt.endpoint, header, body)
		var said struct{ Code, Errno int }
		if rec.Code != http.StatusCreated {
			if err := json.Unmarshal(rec.Body.Bytes(), &said); err != nil || said.Code != tt.status {
				t.Errorf("%s: %s", name, rec.Body)
			}
		}
		if rec.Code != tt.status || said.Errno != tt.errno {
			t.Errorf("%s: %d %s, want %d with %d", name, rec.Code, rec.Body, tt.status, tt.errno)
		}
	}
	if n := len(w.service.Taken()); n != 4 || len(w.service.Taken()) != 0 {
		t.Errorf("%d taken", n)
	}
	w.service.Bar(w.public)
	if rec := w.ask(http.MethodPost, mine.Endpoint, map[string]string{"TTL": "60", "Authorization": good}, nil); rec.Code != 403 || !strings.Contains(rec.Body.String(), "blocked") {
		t.Errorf("a barred key: %d %s", rec.Code, rec.Body)
	}
}

// TestWaiting: topics replace, TTL 0 does not wait, a long TTL is lowered, and a
// message can be taken back.
func TestWaiting(t *testing.T) {
	w := newWorld(t)
	b, err := w.service.Subscribe("")
	if err != nil {
		t.Fatal(err)
	}
	push := func(ttl, topic string) *httptest.ResponseRecorder {
		rec := w.ask(http.MethodPost, b.Endpoint, map[string]string{"TTL": ttl, "Topic": topic}, nil)
		if rec.Code != http.StatusCreated {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		return rec
	}
	push("60", "a")
	push("60", "a")
	push("0", "")
	last := push("99999999999", "b")
	if got := last.Header().Get("TTL"); got != "2592000" {
		t.Errorf("TTL %s", got)
	}
	if got := w.service.Waiting(b.Endpoint); len(got) != 2 {
		t.Errorf("waiting %+v", got)
	}
	for _, want := range []int{204, 404} {
		if rec := w.ask(http.MethodDelete, last.Header().Get("Location"), nil, nil); rec.Code != want {
			t.Errorf("taken back: %d, want %d", rec.Code, want)
		}
	}
	if got := w.service.Waiting(b.Endpoint); len(got) != 1 || got[0].Topic != "a" {
		t.Errorf("waiting %+v", got)
	}
}

func TestSubscribe(t *testing.T) {
	w := newWorld(t)
	const kind = "application/webpush-options+json"
	rec := w.ask(http.MethodPost, origin+"/subscribe", map[string]string{"Content-Type": kind}, []byte(`{"vapid":"`+w.public+`"}`))
	endpoint, _, ok := strings.Cut(strings.TrimPrefix(rec.Header().Get("Link"), "<"), ">")
	if rec.Code != http.StatusCreated || !ok || rec.Header().Get("Location") == "" {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	if rec := w.ask(http.MethodPost, endpoint, map[string]string{"TTL": "1", "Authorization": w.authorization(t, nil)}, nil); rec.Code != http.StatusCreated {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := w.ask(http.MethodPost, origin+"/subscribe", nil, nil); rec.Code != http.StatusCreated {
		t.Errorf("for anybody: %d %s", rec.Code, rec.Body)
	}
	for _, body := range []string{"", `{"vapid":"!"}`, `{"vapid":"AAAA"}`} {
		if rec := w.ask(http.MethodPost, origin+"/subscribe", map[string]string{"Content-Type": kind}, []byte(body)); rec.Code != http.StatusBadRequest {
			t.Errorf("%q: %d", body, rec.Code)
		}
	}
}

func FuzzOpen(f *testing.F) {
	b, err := webpush.New(webpush.Config{}).Subscribe("")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("short"))
	f.Add(append(append(append(make([]byte, 16), 0, 0, 16, 0, 65), b.Key.PublicKey().Bytes()...), make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, body []byte) {
		if text, err := b.Open(body); err == nil {
			t.Fatalf("what nobody has encrypted opens as %q", text)
		}
	})
}
