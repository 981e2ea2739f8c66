package registry_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// TestRotateKey: the old secret is good until the time that was given, to the
// moment, and over a restart; there are never three.
func TestRotateKey(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep time.Duration
	}{{"at once", 0}, {"an hour", time.Hour}, {"longest", registry.MaxKeep}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			app, _ := w.newApp()
			row, first, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k", Scopes: []string{"messages:send"}})
			must(t, err)
			good := func(key string, want bool) {
				t.Helper()
				_, err := w.Key(t.Context(), key, netip.Addr{})
				if want {
					must(t, err)
				} else {
					wantCode(t, err, herald.CodeUnauthorized)
				}
			}
			rotated, second, err := w.RotateKey(t.Context(), app, row.ID, tt.keep)
			must(t, err)
			if first == second || !strings.HasPrefix(second, "hk1."+string(app)+"."+row.ID+".") || rotated.Name != "k" || len(rotated.Scopes) != 1 {
				t.Errorf("rotation gives %+v, %s", rotated, second)
			}
			good(second, true)
			good(first, tt.keep > 0)
			w.restart(serverKey)
			good(second, true)
			good(first, tt.keep > 0)
			if tt.keep > 0 {
				w.pass(tt.keep - time.Second)
				good(first, true)
				w.pass(time.Second)
			}
			good(first, false)
			good(second, true)
			_, third, err := w.RotateKey(t.Context(), app, row.ID, time.Hour)
			must(t, err)
			_, fourth, err := w.RotateKey(t.Context(), app, row.ID, time.Hour)
			must(t, err)
			for key, want := range map[string]bool{first: false, second: false, third: true, fourth: true} {
				good(key, want)
			}
		})
	}
}

func TestRotateKeyRefused(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	other, _ := w.newApp()
	row, whole, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k"})
	must(t, err)
	for _, tt := range []struct {
		name string
		app  herald.AppKey
		id   string
		keep time.Duration
		want herald.Code
	}{
		{"negative", app, row.ID, -1, herald.CodeInvalidRequest},
		{"too long", app, row.ID, registry.MaxKeep + 1, herald.CodeInvalidRequest},
		{"no key", app, "nosuchid", 0, herald.CodeNotFound},
		{"of another app", other, row.ID, 0, herald.CodeNotFound},
		{"no app", herald.NewAppKey(), row.ID, 0, herald.CodeUnauthorized},
	} {
		_, secret, err := w.RotateKey(t.Context(), tt.app, tt.id, tt.keep)
		if herald.CodeOf(err) != tt.want || secret != "" {
			t.Errorf("%s: %q, %v", tt.name, secret, err)
		}
	}
	_, _, err = w.RotateApp(t.Context(), app, registry.MaxKeep+1)
	wantCode(t, err, herald.CodeInvalidRequest)
	_, err = w.Key(t.Context(), whole, netip.Addr{})
	must(t, err)
	// What was not written is not in memory either.
	w.stop()
	_, secret, err := w.RotateKey(t.Context(), app, row.ID, 0)
	if err == nil || secret != "" || string(w.Keys(app)[0].Hash) != string(row.Hash) {
		t.Errorf("a rotation without a store gives %q, %v", secret, err)
	}
}

func TestRotateAppKeeps(t *testing.T) {
	w := newWorld(t)
	app, old := w.newApp()
	_, fresh, err := w.RotateApp(t.Context(), app, time.Hour)
	must(t, err)
	w.restart(serverKey)
	must(t, w.Master(app, old))
	must(t, w.Master(app, fresh))
	wantCode(t, w.Master(app, ""), herald.CodeUnauthorized)
	w.pass(time.Hour)
	wantCode(t, w.Master(app, old), herald.CodeUnauthorized)
	must(t, w.Master(app, fresh))
}

func TestKeyExpires(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	end := w.clock().Add(time.Hour)
	row, whole, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k", Expires: end})
	must(t, err)
	w.pass(time.Hour - time.Second)
	_, err = w.Key(t.Context(), whole, netip.Addr{})
	must(t, err)
	w.pass(time.Second)
	w.restart(serverKey)
	_, err = w.Key(t.Context(), whole, netip.Addr{})
	wantCode(t, err, herald.CodeUnauthorized)
	if !strings.Contains(err.Error(), "expired at "+end.UTC().Format(time.RFC3339)) {
		t.Errorf("the error is %v", err)
	}
	// Who guesses is not told that there is such a key.
	_, err = w.Key(t.Context(), whole[:len(whole)-1]+"-", netip.Addr{})
	if wantCode(t, err, herald.CodeUnauthorized); strings.Contains(err.Error(), "expired") {
		t.Errorf("a wrong secret is told %v", err)
	}
	end = end.Add(time.Hour)
	_, err = w.UpdateKey(t.Context(), app, row.ID, registry.KeyUpdate{Expires: &end})
	must(t, err)
	_, err = w.Key(t.Context(), whole, netip.Addr{})
	must(t, err)
	_, err = w.UpdateKey(t.Context(), app, "nosuchid", registry.KeyUpdate{})
	wantCode(t, err, herald.CodeNotFound)
}

func TestKeyNetworks(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	row, whole, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k", Networks: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("2001:db8::/32")}})
	must(t, err)
	w.restart(serverKey)
	for from, want := range map[string]bool{
		"10.0.0.0": true, "10.255.255.255": true, "11.0.0.0": false, "203.0.113.7": true, "203.0.113.8": false,
		"::ffff:10.1.2.3": true, "::ffff:11.0.0.1": false, "2001:db8:ffff::1": true, "2001:db9::1": false, "::1": false, "fe80::1%eth0": false, "": false,
	} {
		var addr netip.Addr
		if from != "" {
			addr = netip.MustParseAddr(from)
		}
		_, err := w.Key(t.Context(), whole, addr)
		if want {
			must(t, err)
			continue
		}
		wantCode(t, err, herald.CodeAddressRefused)
		seen := "an address that the server does not know"
		if addr.IsValid() {
			seen = addr.Unmap().WithZone("").String()
		}
		if e := err.(*herald.Error); !strings.Contains(e.Remedy, "came from "+seen+".") { //nolint:errorlint // made here
			t.Errorf("%s: the remedy is %q", from, e.Remedy)
		}
		// Who has not the secret learns nothing of the list.
		_, err = w.Key(t.Context(), whole[:len(whole)-1]+"-", addr)
		wantCode(t, err, herald.CodeUnauthorized)
	}
	none := []netip.Prefix{}
	_, err = w.UpdateKey(t.Context(), app, row.ID, registry.KeyUpdate{Networks: &none})
	must(t, err)
	w.restart(serverKey)
	_, err = w.Key(t.Context(), whole, netip.MustParseAddr("11.0.0.0"))
	must(t, err)
}

// TestRefusedIsNoUse: a call from elsewhere is not the last use of the key.
func TestRefusedIsNoUse(t *testing.T) {
	w, h := hookedWorld(t)
	app, _ := w.newApp()
	_, whole, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	must(t, err)
	h.puts.Store(0)
	_, err = w.Key(t.Context(), whole, netip.MustParseAddr("11.0.0.0"))
	wantCode(t, err, herald.CodeAddressRefused)
	if h.puts.Load() != 0 || !w.Keys(app)[0].LastUsed.IsZero() {
		t.Error("it counts as use")
	}
}
