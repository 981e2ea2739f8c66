package livetest

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald/internal/live"
)

// shape is what decides which cells of the matrix there are for a transport.
type shape struct {
	sends bool // its clients can send frames
	polls bool // a session is one request, and ends with its answer
	head  bool // it is reached by an HTTP request
	packs bool // its clients speak packets of their own
}

func shapeOf(h Harness) shape {
	_, head := h.New().(live.Endpoint)
	return shape{sends: h.TwoWay, polls: h.Polls, head: head, packs: h.Packets}
}

// need is what a transport must have for a cell to exist, and why the cell
// means nothing where it has not.
type need struct {
	met    func(shape) bool
	reason string
}

var (
	sends = need{func(s shape) bool { return s.sends },
		"clients send nothing after their request; they acknowledge by cursor and by POST /v1/receipts"}
	speaks = need{sends.met,
		"clients that cannot send are always silent: see the client that does not read"}
	request = need{func(s shape) bool { return !s.sends },
		"clients send frames; what they must not send has cells of its own"}
	head = need{func(s shape) bool { return s.head },
		"there is no request head: the first line is hello"}
	polls = need{func(s shape) bool { return s.polls },
		"there is one request on a connection"}
	frames = need{func(s shape) bool { return !s.packs },
		"clients speak packets, whose grammar has tests of its own"}
	cursors = need{func(s shape) bool { return !s.packs },
		"clients acknowledge by packet ID, and have no cursor"}
	pinged = need{func(s shape) bool { return !s.packs },
		"the server asks nobody whether he is there: clients do"}
	lasts = need{func(s shape) bool { return !s.polls },
		"a session ends with the answer to its request: there is no welcome, and what comes between two requests waits"}
)

// cell is one case of a fault. It runs with a clock of its own, in memory.
type cell struct {
	name  string
	run   func(*env)
	opts  live.Options
	needs []need
}

// fault is a row of the matrix; the columns are the transports that call Run.
type fault struct {
	name  string
	cells []cell
}

// smallQueue makes a slow consumer of who does not read a few messages.
var smallQueue = live.Options{SessionQueue: 4 << 10}

// matrix is every fault that every transport must get over, and what they all
// do when there is none. A subtest is called fault/cell.
func matrix(h Harness) []fault {
	return []fault{
		{"no fault", []cell{
			{name: "a welcome first", run: welcomes, needs: []need{lasts}},
			{name: "online once", run: online},
			{name: "a fresh token", run: freshToken},
			{name: "live in order", run: liveInOrder},
			{name: "a replay of pages in order", run: replaysPages},
			{name: "nothing missed while a page is read", run: comesWhileReading},
			{name: "platform overrides", run: overrides},
			{name: "languages", run: languages},
			{name: "TTL 0 to who is here", run: volatileNow},
			{name: "TTL 0 during a replay", run: volatileInReplay, needs: []need{lasts}},
			{name: "no replay of what has expired", run: expired},
			{name: "nothing by alias to a new user", run: rebound},
			{name: "withdrawals", run: withdrawals},
			{name: "a device sent away", run: disconnects},
			{name: "a failing backlog", run: failingBacklog},
		}},
		{"refused handshake", []cell{
			{name: "bad token", run: badToken},
			{name: "missing token", run: noToken},
			{name: "forbidden origin", run: badOrigin, needs: []need{head}, opts: live.Options{AllowOrigin: func(*http.Request) bool { return false }}},
			{name: "wrong method", run: wrongMethod, needs: []need{head}},
			{name: "too many connections", run: tooMany, opts: live.Options{MaxConnections: 1}},
			{name: "draining", run: refusesDraining},
		}},
		{"acknowledgement", []cell{
			{name: "none", run: replaysAgain},
			{name: "each", run: acknowledges, needs: []need{sends}},
			{name: "upto", run: acknowledgesUpto, needs: []need{sends, cursors}},
			{name: "twice", run: acknowledgesTwice},
			{name: "foreign IDs", run: foreignIDs, needs: []need{sends}},
			{name: "receipts over HTTP", run: receiptsOverHTTP},
		}},
		{"resume", []cell{
			{name: "good cursor", run: resumes, needs: []need{cursors}},
			{name: "old cursor", run: oldCursor, needs: []need{cursors}},
			{name: "cursor of another app", run: badCursor(func(w *World) string { return w.Cursor("another app", 2) }), needs: []need{cursors}},
			{name: "cursor of another epoch", run: badCursor(func(w *World) string { return "2" + w.Cursor(App, 2)[1:] }), needs: []need{cursors}},
			{name: "damaged cursor", run: badCursor(func(w *World) string { c := w.Cursor(App, 2); return c[:len(c)-1] + "\x00" }), needs: []need{cursors}},
			{name: "endless cursor", run: badCursor(func(*World) string { return fmt.Sprintf("%0500d", 9) }), needs: []need{cursors}},
		}},
		{"slow consumer", []cell{
			{name: "reads again", run: slowConsumer, opts: smallQueue},
			{name: "never reads", run: staysFull, opts: smallQueue},
		}},
		{"replaced session", []cell{
			{name: "the fifth", run: fiveSessions},
		}},
		{"heartbeat lost", []cell{
			{name: "signs of life", run: heartbeat, needs: []need{pinged}},
			{name: "a silent client", run: silentClient, needs: []need{speaks}},
			{name: "a client that does not read", run: halfOpen},
			{name: "a cut connection", run: abruptCut},
			{name: "a silent server", run: silentServer, needs: []need{pinged}},
		}},
		{"drain", []cell{
			{name: "everybody is sent away", run: drains},
		}},
		{"topics", topicCells},
		{"garbage", append(garbageCells(h), []cell{
			{name: "frames that are refused", run: refusesFrames, needs: []need{sends, frames}},
			{name: "frames that end it", run: fatalFrames, needs: []need{sends, frames}},
			{name: "half a frame then silence", run: halfFrame, needs: []need{sends}},
			{name: "a frame before hello", run: beforeHello, needs: []need{sends, frames}},
			{name: "hello and a second one", run: opensByHello, needs: []need{sends, frames}},
			{name: "a slow hello", run: slowHello, needs: []need{sends, frames}},
			{name: "a slow head", run: slowHead, needs: []need{head}},
		}...)},
	}
}

// garbageKinds are what a transport whose clients send must have bytes for;
// afterRequest is the same for one whose clients do not.
var garbageKinds = []string{"not JSON", "not UTF-8", "too large", "binary"}

const afterRequest = "bytes after the request"

// garbageCells has the kinds that everybody must survive, then what else the
// transport's harness has thought of.
func garbageCells(h Harness) []cell {
	more := map[string]Garbage{}
	for _, g := range h.Garbage {
		more[g.Name] = g
	}
	var cells []cell
	add := func(g Garbage, name string, needs ...need) {
		cells = append(cells, cell{name: name, needs: needs, run: func(e *env) { garbage(e, g) }})
		delete(more, name)
	}
	for _, name := range garbageKinds {
		add(more[name], name, sends)
	}
	add(more[afterRequest], afterRequest, request)
	for _, g := range h.Garbage {
		if _, left := more[g.Name]; left {
			add(g, g.Name)
		}
	}
	return cells
}

// absent says why a cell does not exist for a transport; "" if it does.
func (c cell) absent(s shape) string {
	for _, n := range c.needs {
		if !n.met(s) {
			return n.reason
		}
	}
	return ""
}

// Run holds a transport to the contract: its column of the matrix, in memory
// with a clock of its own, and over real sockets what must hold when things
// happen at once; with each driver. Subtests are called
// driver/transport/fault/cell; one that does not apply to the transport says
// why.
func Run(t *testing.T, h Harness) {
	for _, d := range Drivers() {
		if _, own := h.New().(live.Server); own && d == Adopting {
			continue // it has no net/http before it
		}
		t.Run(string(d), func(t *testing.T) { run(t, h, d) })
	}
}

func run(t *testing.T, h Harness, d Driver) {
	t.Run(h.New().Name(), func(t *testing.T) {
		s := shapeOf(h)
		for _, f := range matrix(h) {
			t.Run(f.name, func(t *testing.T) {
				for _, c := range f.cells {
					t.Run(c.name, func(t *testing.T) {
						if why := c.absent(s); why != "" {
							t.Log("does not apply: " + why)
							return
						}
						synctest.Test(t, func(t *testing.T) { c.run(newEnv(t, h, d, c.opts, newPipes())) })
					})
				}
			})
		}
		t.Run("over real sockets", func(t *testing.T) { overSockets(t, h, d) })
	})
}
