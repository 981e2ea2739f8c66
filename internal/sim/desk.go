// Package sim holds what the simulators of vendors have in common. Each folder
// below plays the server of one vendor, as far as its documentation tells: with
// its checks of signatures, its addresses that die and its ways to fail. They
// are for tests, and for who has no account yet.
package sim

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault has a call answered in another way than the vendor would. Its zero value
// changes nothing.
type Fault struct {
	Status     int           // in place of the vendor's
	RetryAfter time.Duration // in whole seconds; only with a Status
	Body       string        // with a Status
	Delay      time.Duration // before anything else, until the client gives up
	Reset      bool          // the connection ends without an answer
	Reached    func()        // called first, if it is not nil
}

// Call is a call that came.
type Call struct {
	Method, Path string
	Header       http.Header
	Body         []byte
	Proto        string // such as HTTP/2.0
	Status       int    // of the answer; 0 if there was none
}

// Desk is where a simulator is told to fail, and says what came. The zero value
// is ready; its methods may be called from any goroutine.
type Desk struct {
	mu     sync.Mutex // guards what follows
	faults []Fault
	every  int // so many calls, the last of which fails with rule; 0 for none
	rule   Fault
	count  int
	calls  []Call
	conns  int
}

// maxCalls is how many calls are kept, the last ones.
const maxCalls = 10_000

// Fail has the next calls fail, one for each fault.
func (d *Desk) Fail(list ...Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, list...)
}

// Every has each n-th call fail for which nothing else was said; with 0 none.
func (d *Desk) Every(n int, f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.every, d.rule, d.count = n, f, 0
}

// Calls gives the calls that came, and forgets them.
func (d *Desk) Calls() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.calls
	d.calls = nil
	return out
}

// Connections is how many connections were made.
func (d *Desk) Connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conns
}

// ConnState counts connections; it is for http.Server.
func (d *Desk) ConnState(_ net.Conn, s http.ConnState) {
	if s == http.StateNew {
		d.Connected()
	}
}

// Connected counts a connection; it is for protocols other than HTTP.
func (d *Desk) Connected() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns++
}

// Note keeps a call that came; it is for protocols other than HTTP.
func (d *Desk) Note(c Call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, c)
	d.calls = d.calls[max(0, len(d.calls)-maxCalls):]
}

// Next says how the call that came is to fail.
func (d *Desk) Next() Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.faults) > 0 {
		f := d.faults[0]
		d.faults = d.faults[1:]
		return f
	}
	if d.count++; d.every > 0 && d.count%d.every == 0 {
		return d.rule
	}
	return Fault{}
}

// maxBody is how much of a request is read: more than any vendor takes.
const maxBody = 1 << 20

// Serve writes down what comes to a simulator, and fails where it was told to.
func (d *Desk) Serve(vendor http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		watched := &watched{ResponseWriter: w}
		defer func() {
			d.Note(Call{r.Method, r.URL.Path, r.Header.Clone(), body, r.Proto, watched.status})
		}()
		f := d.Next()
		if f.Reached != nil {
			f.Reached()
		}
		if f.Delay > 0 {
			select {
			case <-time.After(f.Delay):
			case <-r.Context().Done():
				return
			}
		}
		switch {
		case f.Reset:
			panic(http.ErrAbortHandler)
		case f.Status != 0:
			if f.RetryAfter > 0 {
				watched.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
			}
			watched.WriteHeader(f.Status)
			_, _ = io.WriteString(watched, f.Body)
		default:
			vendor.ServeHTTP(watched, r)
		}
	})
}

// watched keeps the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}
