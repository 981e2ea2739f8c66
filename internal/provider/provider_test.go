package provider_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

func FuzzFit(f *testing.F) {
	f.Add("hello", 3)
	f.Add("长文本🙂", 9)
	f.Add("", 0)
	f.Add(strings.Repeat("é\"", 50), 40)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if !utf8.ValidString(text) {
			return
		}
		const frame = 4
		build := func(s string) ([]byte, error) { return []byte("<<" + s + ">>"), nil }
		b, cut, err := provider.Fit(text, limit, build)
		switch whole := len(text) + frame; {
		case whole <= limit:
			if cut || err != nil || string(b) != "<<"+text+">>" {
				t.Fatalf("%q, %v, %v", b, cut, err)
			}
		case frame > limit:
			if provider.KindOf(err) != provider.TooLarge {
				t.Fatal(err)
			}
		default:
			kept := strings.TrimSuffix(string(b[2:len(b)-2]), "…")
			if err != nil || !cut || len(b) > limit || !utf8.Valid(b) || !strings.HasPrefix(text, kept) {
				t.Fatalf("%q, %v, %v", b, cut, err)
			}
			// As much as fits: with the next character it would be too long.
			if r := text[len(kept):]; r != "" {
				if _, n := utf8.DecodeRuneInString(r); len(kept)+n+len("…")+frame <= limit {
					t.Fatalf("%d bytes are left of %d", len(kept), len(text))
				}
			}
		}
	})
}

func TestFitBuildFails(t *testing.T) {
	broken := errors.New("broken")
	n := 0
	_, _, err := provider.Fit("some text", 3, func(string) ([]byte, error) {
		if n++; n > 1 {
			return nil, broken
		}
		return make([]byte, 10), nil
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestOfStatus(t *testing.T) {
	for status, want := range map[int]provider.Kind{
		400: provider.Rejected, 401: provider.Unauthorized, 403: provider.Unauthorized, 404: provider.Rejected, 408: provider.Unavailable,
		413: provider.TooLarge, 429: provider.Throttled, 500: provider.Unavailable, 502: provider.Unavailable, 503: provider.Unavailable,
		504: provider.Unavailable, 301: provider.Rejected,
	} {
		if e := provider.OfStatus(status, time.Second); e.Kind != want || e.Remedy == "" || e.RetryAfter != time.Second || e.Unknown != (status == 502 || status == 504) {
			t.Errorf("%d: %+v", status, e)
		}
	}
	if k := provider.KindOf(errors.New("x")); k != provider.Unavailable {
		t.Error(k)
	}
}

func TestCollapseName(t *testing.T) {
	for _, tt := range []struct {
		key   string
		limit int
		want  string
	}{{"", 64, "5"}, {"news_1-A", 64, "news_1-A"}, {"a b", 64, "hash"}, {strings.Repeat("a", 65), 64, "hash"}, {strings.Repeat("a", 33), 32, "hash"}} {
		got := provider.CollapseName(&provider.Message{ID: 5, CollapseKey: tt.key}, tt.limit)
		if got != tt.want && tt.want != "hash" || len(got) > tt.limit || tt.want == "hash" && len(got) < 32 {
			t.Errorf("%q: %q", tt.key, got)
		}
	}
}

func TestTTL(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		expires time.Time
		want    time.Duration
	}{{time.Time{}, 0}, {now.Add(-time.Second), 0}, {now.Add(time.Millisecond), time.Second}, {now.Add(time.Minute), time.Minute}} {
		if got := (&provider.Message{Expires: tt.expires}).TTL(now); got != tt.want {
			t.Errorf("%v: %s", tt.expires, got)
		}
	}
}

func TestBlameClock(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) http.Header { return http.Header{"Date": {now.Add(d).Format(http.TimeFormat)}} }
	for _, tt := range []struct {
		h    http.Header
		want string
	}{{at(0), ""}, {at(30 * time.Second), ""}, {at(time.Hour), "behind"}, {at(-time.Hour), "ahead of"}, {http.Header{}, ""}, {http.Header{"Date": {"x"}}, ""}} {
		e := (&provider.Error{Text: "no", Remedy: "look"}).BlameClock(tt.h, now)
		if tt.want == "" && (e.Text != "no" || e.Remedy != "look") || tt.want != "" && (!strings.HasPrefix(e.Text, "no; ") || !strings.Contains(e.Text, tt.want) || e.Remedy == "look") {
			t.Errorf("%v: %+v", tt.h, e)
		}
	}
}

func TestNilTranscript(t *testing.T) {
	if provider.TranscriptOf(t.Context()).Exchanges() != nil {
		t.Error("there is something")
	}
}

// TestCallHides: what is secret is in no transcript, however it is written.
func TestCallHides(t *testing.T) {
	const secret = `t"ok=en+/`
	c, err := egress.New(egress.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var script provider.Transcript
	quoted, err := json.Marshal(map[string]string{"token": secret})
	if err != nil {
		t.Fatal(err)
	}
	// The address may not be called: what was to be said is taken down all the same.
	_, err = provider.Call(provider.WithTranscript(t.Context(), &script), c, egress.Request{
		URL: "https://127.0.0.1/?token=" + url.QueryEscape(secret) + "&other=1", Body: quoted,
		Header: http.Header{"X-Own": {"a", secret}, "X-Pin": {"1"}, "Authorization": {"Bearer " + secret}},
	}, secret, "", "1")
	if provider.KindOf(err) != provider.Rejected {
		t.Fatal(err)
	}
	got := script.Exchanges()[0]
	if got.URL != "https://127.0.0.1/?token=…&other=1" || got.Body != `{"token":"…"}` || got.Header["X-Own"] != "a, …" || got.Header["X-Pin"] != "…" || got.Header["Authorization"] != "Bearer …" {
		t.Errorf("taken down %+v", got)
	}
}

type nobody struct{ provider.Provider }

func TestMadeOnce(t *testing.T) {
	built := 0
	build := func() (int, error) {
		if built++; built == 3 {
			return 0, provider.Errorf(provider.TooLarge, "", "", "no")
		}
		return built, nil
	}
	one, two := &nobody{}, &nobody{}
	m := &provider.Message{Once: new(provider.Once)}
	for i, tt := range []struct {
		m    *provider.Message
		by   provider.Provider
		want int
		kind provider.Kind
	}{
		{m, one, 1, ""}, {m, one, 1, ""}, {m, two, 2, ""}, {m, two, 2, ""},
		{m, one, 0, provider.TooLarge}, {m, one, 0, provider.TooLarge}, // an error stays, too
		{&provider.Message{}, one, 4, ""}, {&provider.Message{}, one, 5, ""}, // for one address only
	} {
		got, err := provider.MadeOnce(tt.m, tt.by, build)
		if got != tt.want || (err != nil) != (tt.kind != "") || err != nil && provider.KindOf(err) != tt.kind {
			t.Errorf("%d: %d, %v", i, got, err)
		}
	}
}
