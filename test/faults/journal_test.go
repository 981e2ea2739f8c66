package faults_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// journal is what the harness did and saw: in its memory, for the checks, and
// with FAULTS_KEEP line by line in a file, for a person.
type journal struct {
	mu       sync.Mutex // guards what follows
	file     *bufio.Writer
	pushes   []*push
	kept     []*push // those accepted for good, in the order of their answers
	byNonce  map[string]*push
	devices  []*device
	frames   []frame
	acks     []ack
	samples  []sample
	readies  []readiness
	writes   []write // outcomes of pushes, for the honesty of /readyz
	kills    int
	cuts     int
	restarts []time.Duration // from start to ready
}

// push is one call of POST /v1/messages and what became of it.
type push struct {
	App      int
	Nonce    string // in the body, so that a frame leads back here
	Hash     string // of the body
	Kind     string // all, tag, alias, ids
	Names    []string
	TTL      time.Duration
	SendAt   time.Time     `json:",omitzero"`
	Collapse string        `json:",omitempty"`
	Spread   int64         `json:",omitempty"` // seconds of a slow push
	Live     time.Duration `json:",omitempty"` // after its release it goes to connections; 0: at once
	Key      string
	Refuse   string `json:",omitempty"` // why it has to be refused

	Began, Ended time.Time
	Status       int // 0: no answer, so either may be
	Code         string
	ID           string
	Target       *int64
	Stored       bool
	Repeats      []string // IDs answered to the same call again

	WithdrawBegan, WithdrawEnded time.Time `json:",omitzero"`
	Withdrawn                    bool      // answered 2xx

	item map[string]any // the request, if it was sent in a batch
}

func (p *push) accepted() bool { return p.Status >= 200 && p.Status < 300 }

// expires is the latest moment at which the TTL may end.
func (p *push) expires() time.Time {
	if !p.SendAt.IsZero() {
		return p.SendAt.Add(p.TTL)
	}
	return p.Ended.Add(p.TTL)
}

// change is one change of a property of a device: whether it is registered,
// has a tag, is bound to an alias.
type change struct {
	What         string // "registered", "tag:x", "alias:x"
	To           bool
	Began, Ended time.Time
	Known        bool // the answer says that it was done
}

// frame is one message frame that a device received.
type frame struct {
	Device, Conn int
	Opened, At   time.Time // when dialling began; when it was read
	Type         string
	ID           string
	Cursor       string
	Nonce, Hash  string
	SDK          bool
}

// ack is one acknowledgement that a device sent.
type ack struct {
	Device, Conn int
	At           time.Time
	IDs          []string `json:",omitempty"`
	Cursor       string   `json:",omitempty"`
}

// sample is the state of a message on a device at some moment of the run.
type sample struct {
	Push   string
	Device int
	At     time.Time
	State  string
}

// readiness is one answer of /readyz; write is the outcome of one push.
type readiness struct {
	Began, Ended time.Time
	Status       int
}

type write struct {
	Began, Ended time.Time
	Status       int
	Code         string
	RetryAfter   string
}

func newJournal(t *testing.T) *journal {
	t.Helper()
	j := &journal{byNonce: map[string]*push{}}
	dir := os.Getenv("FAULTS_KEEP")
	if dir == "" {
		return j
	}
	f, err := os.CreateTemp(dir, "journal-*.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	j.file = bufio.NewWriter(f)
	t.Cleanup(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		if err := j.file.Flush(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the journal is %s", filepath.Base(f.Name()))
		}
	})
	return j
}

// line writes one line; j.mu is held.
func (j *journal) line(kind string, v any) {
	if j.file == nil {
		return
	}
	b, err := json.Marshal(map[string]any{"kind": kind, "at": time.Now(), "what": v})
	if err == nil {
		_, _ = j.file.Write(append(b, '\n')) // the flush at the end says whether it could be written
	}
}

func (j *journal) begin(p *push) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pushes = append(j.pushes, p)
	j.byNonce[p.Nonce] = p
	j.line("push", p)
}

func (j *journal) end(p *push, set func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	set()
	j.line("answer", p)
}

func (j *journal) change(d *device, c change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if d.changes == nil {
		d.changes = map[string][]change{}
	}
	d.changes[c.What] = append(d.changes[c.What], c)
	j.line("change", map[string]any{"device": d.index, "change": c})
}

func (j *journal) frame(f frame) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.frames = append(j.frames, f)
	j.line("frame", f)
}

func (j *journal) ack(a ack) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acks = append(j.acks, a)
	j.line("ack", a)
}

func (j *journal) sample(s sample) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.samples = append(j.samples, s)
	j.line("sample", s)
}

func (j *journal) ready(r readiness) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.readies = append(j.readies, r)
	j.line("ready", r)
}

func (j *journal) write(w write) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writes = append(j.writes, w)
}

func (j *journal) life(kind string, took time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch kind {
	case "kill":
		j.kills++
	case "cut":
		j.cuts++
	case "start":
		j.restarts = append(j.restarts, took)
	}
	j.line(kind, took)
}

// could gives the values that a property of a device may have had in a span of
// time: changes that were under way in it go either way, and so do those whose
// outcome nobody knows. The changes of a device follow each other, so that what
// was before the last certain one no longer matters.
func (d *device) could(what string, from, to time.Time) (yes, no bool) {
	list := d.changes[what]
	later, _ := slices.BinarySearchFunc(list, from, func(c change, t time.Time) int {
		if c.Ended.After(t) {
			return 1
		}
		return -1
	})
	first := later - 1
	for first >= 0 && !list[first].Known {
		first--
	}
	no = true
	if first >= 0 {
		yes, no = list[first].To, !list[first].To
	}
	for _, c := range list[first+1:] {
		if !c.Began.Before(to) {
			break
		}
		yes, no = yes || c.To, no || !c.To
	}
	return yes, no
}

// meant says whether a device must be, or may be, in the target of a push.
func (p *push) meant(d *device, horizon time.Time) (must, may bool) {
	if d.app != p.App {
		return false, false
	}
	from, to := p.Began, p.Ended
	if p.Status == 0 {
		to = horizon // it may have been done at any time since
	}
	if !p.SendAt.IsZero() {
		from, to = p.SendAt, horizon // evaluated when it falls due, or later
	}
	here, gone := d.could("registered", from, to)
	if p.Kind == "all" {
		return here && !gone, here
	}
	if p.Kind == "ids" {
		for _, id := range p.Names {
			if id == d.id {
				return here && !gone, here
			}
		}
		return false, false
	}
	some, sure := false, false
	for _, name := range p.Names {
		yes, no := d.could(p.Kind+":"+name, from, to)
		some, sure = some || yes, sure || yes && !no
	}
	return here && !gone && sure, here && some
}
