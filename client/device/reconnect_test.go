package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/herald-push/herald"
)

func TestReconnectWaitsGrow(t *testing.T) {
	f := &fake{session: func(n int, p *peer) {
		if n < 9 {
			p.close(4010)
			return
		}
		p.welcome()
		p.message(1)
		p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		var waits []time.Duration
		_, err := listenOnce(t, o, func(stop func()) Handler {
			h := collect(1, &got)(stop)
			h.OnState = func(s State) {
				if s.Phase == Waiting {
					waits = append(waits, s.Retry)
				}
			}
			return h
		})
		if err != nil || len(waits) != 8 {
			t.Fatalf("%v, waits %v", err, waits)
		}
		bound := time.Second
		for i, w := range waits {
			bound = min(2*bound, maxReconnect)
			if w < minReconnect || w > bound {
				t.Errorf("wait %d is %s, want 1s to %s", i+1, w, bound)
			}
			if gap := f.times[i+1].Sub(f.times[i]); gap < w {
				t.Errorf("came back after %s instead of %s", gap, w)
			}
		}
	})
}

func TestReconnectFrameIsHonoured(t *testing.T) {
	for name, stays := range map[string]bool{"server closes": false, "server stays": true} {
		t.Run(name, func(t *testing.T) {
			var asked time.Time
			f := &fake{session: func(n int, p *peer) {
				p.welcome()
				if n == 1 {
					asked = time.Now()
					p.send(`{"type":"reconnect","after_ms":20000}`)
					if !stays {
						p.close(4012)
					}
				} else {
					p.message(1)
				}
				p.rest()
			}}
			bubble(t, f, func(t *testing.T, o Options) {
				var got []herald.MessageID
				if _, err := listenOnce(t, o, collect(1, &got)); err != nil {
					t.Error(err)
				}
				if gap := f.times[1].Sub(asked); gap < 20*time.Second || gap > 21*time.Second {
					t.Errorf("came back after %s", gap)
				}
			})
		})
	}
}

func TestCloseCodesThatEnd(t *testing.T) {
	for code, want := range map[int]error{4003: ErrForbidden, 4009: ErrReplaced, 4013: ErrProtocol} {
		f := &fake{session: func(_ int, p *peer) { p.welcome(); p.close(code) }}
		bubble(t, f, func(t *testing.T, o Options) {
			_, err := listenOnce(t, o, func(func()) Handler { return Handler{} })
			if !errors.Is(err, want) || f.connections != 1 {
				t.Errorf("%d: %v after %d connections", code, err, f.connections)
			}
			if text := fmt.Sprintf("device: the server closed the connection: because (%d)", code); err == nil || !strings.HasSuffix(err.Error(), text) {
				t.Errorf("%d: %v", code, err)
			}
		})
	}
}

func TestBadTokenRegistersOnce(t *testing.T) {
	f := &fake{session: func(n int, p *peer) {
		if n == 2 {
			p.welcome()
			p.message(1)
			p.rest()
			return
		}
		p.close(4001)
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		if _, err := listenOnce(t, o, collect(1, &got)); err != nil {
			t.Error(err)
		}
		if len(f.registrations) != 2 || f.tokens[1] != "Bearer hd1.t2" || f.registrations[0]["installation"] != f.registrations[1]["installation"] {
			t.Errorf("registrations %v, tokens %v", f.registrations, f.tokens)
		}
		if f.times[1].Sub(f.times[0]) != 0 {
			t.Errorf("waited %s", f.times[1].Sub(f.times[0]))
		}
	})
	f = &fake{session: func(_ int, p *peer) { p.close(4001) }}
	bubble(t, f, func(t *testing.T, o Options) {
		if _, err := listenOnce(t, o, func(func()) Handler { return Handler{} }); !errors.Is(err, ErrToken) || len(f.registrations) != 2 {
			t.Errorf("%v after %d registrations", err, len(f.registrations))
		}
	})
}

func TestUpgradeRefused(t *testing.T) {
	tests := []struct {
		status        int
		want          error
		registrations int
	}{
		{http.StatusUnauthorized, ErrToken, 2},
		{http.StatusForbidden, ErrForbidden, 1},
	}
	for _, tt := range tests {
		f := &fake{refuse: func(int) int { return tt.status }}
		bubble(t, f, func(t *testing.T, o Options) {
			if _, err := listenOnce(t, o, func(func()) Handler { return Handler{} }); !errors.Is(err, tt.want) || len(f.registrations) != tt.registrations {
				t.Errorf("%d: %v after %d registrations", tt.status, err, len(f.registrations))
			}
		})
	}
	f := &fake{
		refuse: func(n int) int {
			if n == 1 {
				return http.StatusServiceUnavailable
			}
			return 0
		},
		session: func(_ int, p *peer) { p.welcome(); p.message(1); p.rest() },
	}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		if _, err := listenOnce(t, o, collect(1, &got)); err != nil {
			t.Error(err)
		}
		if gap := f.times[1].Sub(f.times[0]); gap != 7*time.Second {
			t.Errorf("came back after %s, want the Retry-After of 7s", gap)
		}
	})
}

func TestSilentServerIsLeft(t *testing.T) {
	var pinged, left time.Duration
	f := &fake{session: func(n int, p *peer) {
		p.welcome()
		if n > 1 {
			p.message(1)
			p.rest()
			return
		}
		began := time.Now()
		if f := p.next(); f == nil || f.Type != "ping" {
			t.Errorf("got %+v, want a ping", f)
		}
		pinged = time.Since(began)
		p.next()
		left = time.Since(began)
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		if _, err := listenOnce(t, o, collect(1, &got)); err != nil {
			t.Error(err)
		}
		if pinged != 50*time.Second || left != 75*time.Second {
			t.Errorf("asked after %s, left after %s", pinged, left)
		}
	})
}

func TestPingsKeepTheConnection(t *testing.T) {
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		ctx := p.conn.CloseRead(context.Background())
		for range 5 {
			pass(45 * time.Second)
			if err := p.conn.Ping(ctx); err != nil {
				t.Errorf("ping: %v", err)
			}
		}
		p.message(1)
		<-ctx.Done()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		if _, err := listenOnce(t, o, func(stop func()) Handler {
			return Handler{OnMessage: func(_ context.Context, m Message) error { got = append(got, m.ID); stop(); return errors.New("no ack") }}
		}); err != nil || f.connections != 1 {
			t.Errorf("%v, %d connections", err, f.connections)
		}
	})
}

func TestServerWithoutWelcomeIsLeft(t *testing.T) {
	f := &fake{session: func(n int, p *peer) {
		if n > 1 {
			p.welcome()
			p.message(1)
		}
		p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		if _, err := listenOnce(t, o, collect(1, &got)); err != nil || f.connections != 2 {
			t.Errorf("%v, %d connections", err, f.connections)
		}
	})
}

func TestBrokenErrorSpeaks(t *testing.T) {
	for want, err := range map[string]error{
		"device: the server closed the connection (4010)":  websocket.CloseError{Code: 4010},
		"device: the connection ended without a word":      fmt.Errorf("failed to read: %w", io.EOF),
		"device: the connection broke: reset by the other": errors.New("reset by the other"),
	} {
		if got := (brokenError{err}).Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
