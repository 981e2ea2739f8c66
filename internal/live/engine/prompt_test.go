package engine

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald/internal/live"
)

// where tells on whose goroutine a request is served, and promises for the next
// one what its body says: "prompt", "wait" or nothing.
func where(w http.ResponseWriter, r *http.Request) {
	a, ok := w.(*answer)
	if !ok {
		fmt.Fprint(w, "net/http")
		return
	}
	on := "pool"
	if a.on != nil {
		on = "loop"
	}
	b, _ := io.ReadAll(r.Body)
	word, _, _ := strings.Cut(string(b), " ")
	switch word {
	case "prompt":
		a.Prompt(r.URL.Path)
	case "wait":
		a.MayWait()
	}
	fmt.Fprint(w, on, " ", word)
}

func TestPromptCalls(t *testing.T) {
	long := "prompt " + strings.Repeat("x", promptBytes)
	batch := strings.Replace(call("prompt"), "messages", "messages:batch", 1)
	serveSite(t, where, func(s *site) {
		v := s.dial("")
		for i, c := range []struct{ send, want string }{
			{call("prompt"), "pool prompt"}, // nothing is known of the first one
			{call("prompt"), "loop prompt"},
			{call(""), "loop "}, // one that says nothing changes nothing
			{batch, "pool prompt"},
			{call("prompt"), "pool prompt"}, // another path was prompt
			{call(long), "pool prompt"},
			{call("wait"), "loop wait"},
			{call("prompt"), "pool prompt"},
		} {
			v.say(c.send)
			if resp := v.hear(200, c.want); resp.Close {
				t.Errorf("call %d: the connection ends", i)
			}
		}
		v.say(call("prompt") + call("prompt") + call("wait") + call("prompt"))
		v.hear(200, "loop prompt")
		v.hear(200, "pool prompt") // what was sent ahead is served by others
		v.hear(200, "pool wait")
		v.hear(200, "pool prompt")
		v.say("GET /v1/live/ws HTTP/1.1\r\nHost: a\r\n\r\n")
		v.hear(200, "pool ")
		_ = v.Close()
	})
}

// TestLoopGoesOn holds that a call on a loop which waits after all, or panics,
// keeps no other connection waiting, and neither do several of them.
func TestLoopGoesOn(t *testing.T) {
	var free chan struct{} // of the time that the test has for itself
	serveSite(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		a := w.(*answer)
		switch string(b) {
		case "long":
			if a.on == nil {
				t.Error("the call that waits is not on the loop")
			}
			a.MayWait()
			<-free
		case "panic":
			panic(http.ErrAbortHandler)
		default:
			a.Prompt(r.URL.Path)
		}
		_, _ = w.Write(b)
	}, func(s *site) {
		free = make(chan struct{})
		var waiting, others []*visitor
		for range 4 {
			for _, list := range []*[]*visitor{&waiting, &others} {
				v := s.dial(call("x"))
				v.hear(200, "x")
				*list = append(*list, v)
			}
		}
		for i, v := range waiting {
			v.say(call("long"))
			synctest.Wait()
			for _, o := range others[i:] {
				o.say(call("y"))
				o.hear(200, "y")
			}
			others[i].say(call("panic"))
			others[i].ends()
		}
		close(free)
		for _, v := range waiting {
			v.hear(200, "long")
			_ = v.Close()
		}
	})
}

// dawdler lets others run while it writes.
type dawdler struct{ Kernel }

func (d dawdler) Write(fd int, frames [][]byte) (int, error) {
	runtime.Gosched()
	n, err := d.Kernel.Write(fd, frames)
	runtime.Gosched()
	return n, err
}

// abandoned is a request that is answered when its client is gone.
type abandoned struct{ live.Pending }

func (h *abandoned) Gone() { go h.Answer(func(http.ResponseWriter) {}) }

// TestWritesOfRounds lets calls on loops, and others, write to one connection
// at the same time: nothing is lost, written twice or overtaken.
func TestWritesOfRounds(t *testing.T) {
	const sources, each = 6, 300
	var to *conn
	serveSiteOn(t, func() Kernel { return dawdler{NewMemory()} }, func(w http.ResponseWriter, r *http.Request) {
		a := w.(*answer)
		if r.Method == http.MethodGet {
			to = a.web.c
			h := &abandoned{}
			h.Pending = a.Hold(h)
			return
		}
		b, _ := io.ReadAll(r.Body)
		to.raw(append(b, '\n'))
		a.Prompt(r.URL.Path)
	}, func(s *site) {
		hearer := s.dial("GET /v1/live/ws HTTP/1.1\r\nHost: a\r\n\r\n")
		synctest.Wait()
		var wg sync.WaitGroup
		for i := range sources {
			wg.Go(func() {
				for n := range each {
					to.raw(fmt.Appendf(nil, "direct-%d %d\n", i, n))
				}
			})
			v := s.dial("")
			wg.Go(func() {
				for n := range each {
					v.say(call(fmt.Sprintf("call-%d %d", i, n)))
					v.hear(200, "")
				}
			})
		}
		next := map[string]int{}
		lines := bufio.NewScanner(hearer)
		for range 2 * sources * each {
			if !lines.Scan() {
				t.Fatalf("it ended: %v; heard %v", lines.Err(), next)
			}
			who, number, _ := strings.Cut(lines.Text(), " ")
			if n, err := strconv.Atoi(number); err != nil || n != next[who] {
				t.Fatalf("heard %q, want number %d", lines.Text(), next[who])
			}
			next[who]++
		}
		wg.Wait()
		_ = hearer.Close()
	})
}
