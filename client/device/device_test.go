package device

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

func TestNewRefuses(t *testing.T) {
	good := Options{URL: "http://x", AppKey: testKey}
	for name, change := range map[string]func(*Options){
		"no URL":             func(o *Options) { o.URL = "" },
		"URL with user":      func(o *Options) { o.URL = "http://u:p@x" },
		"URL with a query":   func(o *Options) { o.URL = "http://x?access_token=t" },
		"no app key":         func(o *Options) { o.AppKey = "x" },
		"short installation": func(o *Options) { o.Installation = "short" },
		"long installation":  func(o *Options) { o.Installation = strings.Repeat("x", 129) },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}

func TestIdentityOfAnotherAppIsNotUsed(t *testing.T) {
	s := Memory()
	_ = s.Save(Identity{AppKey: "000000000000000000000000", Installation: "the other installation", RegistrationID: testID, Token: "hd1.x"})
	d, err := New(Options{URL: "http://x", AppKey: testKey, Store: s})
	if err != nil || d.ID() != "" || d.identity().Installation == "the other installation" || d.identity().Token != "" {
		t.Errorf("%+v, %v", d.identity(), err)
	}
}

func TestRegisterFails(t *testing.T) {
	known := Memory()
	_ = known.Save(Identity{AppKey: testKey, Installation: "my own installation", RegistrationID: testID, Token: "hd1.x"})
	broken := File(t.TempDir()) // a folder is no file
	tests := []struct {
		name   string
		answer http.HandlerFunc // nil: nobody listens
		store  Store
		check  func(error) bool
	}{
		{"refused", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"code":"forbidden","detail":"no alias","remedy":"r"}`)
		}, nil, func(err error) bool { return herald.CodeOf(err) == herald.CodeForbidden }},
		{"not understood", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) }, nil,
			func(err error) bool { return err != nil && !errors.Is(err, ErrUnreachable) }},
		{"not reachable", nil, nil, func(err error) bool { return errors.Is(err, ErrUnreachable) }},
		{"not reachable, known", nil, known, func(err error) bool { return err == nil }},
		{"store cannot be read", nil, broken, func(err error) bool { return err != nil && !errors.Is(err, ErrUnreachable) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(tt.answer)
			client := s.Client()
			if tt.answer == nil {
				s.Close()
			} else {
				defer s.Close()
			}
			if _, err := Register(t.Context(), Options{URL: s.URL, AppKey: testKey, Store: tt.store, HTTPClient: client}); !tt.check(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFileStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "herald.json")
	s := File(path)
	if id, err := s.Load(); err != nil || id != (Identity{}) {
		t.Errorf("empty store: %+v, %v", id, err)
	}
	want := Identity{testKey, "installation", testID, "hd1.t"}
	for range 2 { // also over an existing file
		if err := s.Save(want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Load(); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

func TestRecent(t *testing.T) {
	var r recent
	for i := herald.MessageID(1); i <= recentIDs+1; i++ {
		if known, _ := r.add(i); known {
			t.Fatalf("%d is known", i)
		}
	}
	if known, _ := r.add(2); !known {
		t.Error("2 was forgotten too early")
	}
	if known, _ := r.add(1); known {
		t.Error("1 was not forgotten")
	}
	r.settle(5)
	if known, settled := r.add(5); !known || !settled {
		t.Error("5 is not settled")
	}
	r.forget(5)
	if known, _ := r.add(5); known {
		t.Error("5 was not forgotten")
	}
	for i := herald.MessageID(5000); i < 9000; i++ {
		r.add(i)
		r.settle(i)
	}
	if len(r.settled) > recentIDs || len(r.ring) != recentIDs {
		t.Errorf("%d and %d are kept", len(r.settled), len(r.ring))
	}
}

func TestOutboxIsBounded(t *testing.T) {
	o := outbox{wake: make(chan struct{}, 1)}
	for i := range maxReports + 10 {
		o.add("", herald.MessageID(i+1))
	}
	if o.len() != maxReports {
		t.Errorf("%d wait", o.len())
	}
	list := o.take()
	if list[0].id != 11 || o.len() != 0 {
		t.Errorf("the oldest is %d", list[0].id)
	}
	o.add("", 1)
	o.giveBack(list)
	if o.len() != maxReports {
		t.Errorf("%d wait after giving back", o.len())
	}
	for _, f := range batches(list) {
		if len(f.IDs) > idsPerFrame {
			t.Errorf("a frame of %d", len(f.IDs))
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte(`{"type":"message","id":"5","cursor":"1.2.x","time":"2026-11-21T09:30:00.000Z","notification":{"title":"T"},"data":{"a":[1]}}`))
	f.Add([]byte(`{"type":"withdraw","id":"5"}`))
	f.Add([]byte(`{"type":"welcome","heartbeat":50,"timeout":75,"token":"t"}`))
	f.Add([]byte(`{"type":"reconnect","after_ms":-1}`))
	f.Add([]byte(`{"type":"message","id":"-5"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := parseFrame(b)
		if err != nil {
			return
		}
		if frame.Type == "" || frame.Type == "message" && frame.message().ID <= 0 {
			t.Errorf("%s gives %+v", b, frame)
		}
	})
}

func TestRegisterAddresses(t *testing.T) {
	f := &fake{}
	bubble(t, f, func(t *testing.T, o Options) {
		o.Addresses = []herald.VendorAddress{{Vendor: herald.VendorAPNs, Environment: "sandbox", Token: "0a1b"}, {Vendor: herald.VendorFCM, Token: "dJ4"}}
		if _, err := Register(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	})
	if got, want := fmt.Sprint(f.registrations[0]["addresses"]), "[map[environment:sandbox token:0a1b vendor:apns] map[token:dJ4 vendor:fcm]]"; got != want {
		t.Errorf("registered with the addresses %s, want %s", got, want)
	}
}
