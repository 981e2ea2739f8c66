package livetest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// plain is a server that is nothing but net/http.
func plain(tb testing.TB, wrap func(http.Handler) http.Handler) Dialer {
	mux := http.NewServeMux()
	routes(mux)
	srv := httptest.NewUnstartedServer(wrap(mux))
	srv.Config.MaxHeaderBytes = maxHead
	srv.Start()
	tb.Cleanup(srv.Close)
	return func() (net.Conn, error) { return dialTCP(srv.Listener.Addr()) }
}

func same(h http.Handler) http.Handler { return h }

func TestHeadTable(t *testing.T) {
	seen := map[string]bool{}
	for _, h := range Heads() {
		if seen[h.Name] {
			t.Errorf("%s is there twice", h.Name)
		}
		seen[h.Name] = true
		if h.Refuse && h.MayRefuse {
			t.Errorf("%s both must and may be refused", h.Name)
		}
	}
	t.Log(len(seen), "rows")
}

// TestHeadsNotices shows the comparison servers that differ.
func TestHeadsNotices(t *testing.T) {
	oracle := plain(t, same)
	for _, c := range []struct {
		name string
		head Head
		wrap func(http.Handler) http.Handler
		want string
	}{
		{"nothing", get("a request", ""), same, ""},
		{"another status", get("a request", ""), func(http.Handler) http.Handler { return http.NotFoundHandler() }, "answered with [{404 }"},
		{"a connection that is not kept", get("a request", ""), func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close"); h.ServeHTTP(w, r) })
		}, "answered with"},
		{"another body", post("a request", "Content-Length: 5\r\n", "hello"), func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = r.Body.Read(make([]byte, 1)); h.ServeHTTP(w, r) })
		}, `body "ello"`},
		{"what has to be refused and is not", get("a request", "").refuse(), same, "has to be refused"},
		{"what may be refused, and is", get("a request", "").mayRefuse(), func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Connection", "close")
				w.WriteHeader(400)
			})
		}, ""},
		{"a smuggled request", get("a request", "").then(hidden), same, "smuggled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckHead(c.head, oracle, plain(t, c.wrap), echoPath, "")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("%v, want %q", err, c.want)
			}
		})
	}
}

// FuzzAsk: whatever is sent is answered with whole answers or none, and what
// net/http cannot read is refused by its server too.
func FuzzAsk(f *testing.F) {
	dial := plain(f, same)
	for _, h := range Heads() {
		f.Add(h.Bytes(echoPath, ""))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		if hasHEAD(request) {
			return
		}
		x, err := Ask(dial, request, true)
		if err != nil {
			t.Fatal(err)
		}
		_, err = http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(request), strings.NewReader(probe))))
		if err != nil && !x.refused() {
			t.Fatalf("%q cannot be read: %v, and is answered with %v", request, err, x)
		}
	})
}
