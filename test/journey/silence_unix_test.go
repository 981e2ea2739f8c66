//go:build unix

package journey_test

import (
	"strings"
	"syscall"
	"testing"
)

// A server that hangs keeps its sockets open: only the heartbeat tells.
func TestDemoPageNoticesSilence(t *testing.T) {
	s := &server{dir: t.TempDir(), env: []string{"HERALD_LIVE__HEARTBEAT=1s", "HERALD_LIVE__TIMEOUT=2s"}}
	s.start(t, "127.0.0.1:0")
	p := openPage(t, s.link, nil)
	for _, transport := range []string{"WebSocket", "SSE"} {
		t.Run(transport, func(t *testing.T) {
			p.click(t, `#transports label:has-text("`+transport+`")`)
			p.wait(t, connected+"[data-transport="+strings.ToLower(transport)+"]")
			s.signal(t, syscall.SIGSTOP)
			defer s.signal(t, syscall.SIGCONT) // a stopped process could not be ended in order
			p.wait(t, "html:not([data-phase=connected])")
			s.signal(t, syscall.SIGCONT)
			p.wait(t, connected)
			m := s.push(t, "Awake again", 1)
			p.wait(t, `[data-id="`+m.ID+`"]`)
		})
	}
	p.clean(t)
}
