package smpp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	simsmpp "github.com/herald-push/herald/internal/sim/smpp"
	wire "github.com/herald-push/herald/internal/wire/smpp"
)

func TestReports(t *testing.T) {
	for name, after := range map[string]time.Duration{"at once": 0, "later": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false, simsmpp.Config{After: after})
			w.centre.Remove(gone[1:], wire.OK)
			p := w.provider(t, w.with())
			var list reports
			list.listen(p)
			var refs []string
			for i, row := range []struct{ to, text string }{{here, "a"}, {gone, "a"}, {here, strings.Repeat("a", 400)}, {gone, strings.Repeat("a", 400)}} {
				r, err := send(t, p, row.to, message(herald.MessageID(i+1), row.text))
				if err != nil {
					t.Fatal(err)
				}
				refs = append(refs, r.Reference)
			}
			list.await(t, 4)
			eventually(t, "all receipts are answered", func() bool { return w.centre.Owed() == 0 })
			got := list.all()
			if len(got) != 4 {
				t.Fatalf("%d reports for 4 messages: %+v", len(got), got)
			}
			for _, r := range got {
				bad := r.Reference == refs[1] || r.Reference == refs[3]
				switch {
				case r.Reference != refs[0] && r.Reference != refs[2] && !bad:
					t.Errorf("a report of %q, which is none of %q", r.Reference, refs)
				case r.Time.IsZero():
					t.Errorf("%+v has no time", r)
				case !bad && (r.State != herald.StateReceived || r.Err != nil):
					t.Errorf("%+v", r)
				case bad && (r.State != "" || r.Err == nil || r.Err.Kind != provider.Rejected || r.Err.Code != "UNDELIV 001" || r.Err.Text == "" || r.Err.Remedy == ""):
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestReceiptsOfEachState has the service centre say what it likes.
func TestReceiptsOfEachState(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{NoReceipts: true})
	p := w.provider(t, w.with())
	var list reports
	list.listen(p)
	if _, err := send(t, p, here, message(1, "a")); err != nil {
		t.Fatal(err)
	}
	say := func(class byte, text string) {
		w.centre.Ask(wire.PDU{Command: wire.DeliverSM, Message: &wire.Message{Class: class, Text: []byte(text)}})
	}
	for i, state := range []wire.State{wire.Enroute, wire.Accepted, wire.Unknown, wire.Expired, wire.Deleted, wire.Undeliverable, wire.Rejected, wire.Delivered} {
		r := wire.Receipt{ID: string(rune('0' + i)), State: state}
		say(wire.ClassReceipt, r.Text())
	}
	say(0, "a message from a telephone")
	say(wire.ClassReceipt, "a receipt that nobody can read")
	say(wire.ClassReceipt, "id:last stat:DELIVRD")
	var said []string
	for _, r := range list.await(t, 6) {
		word := string(r.State)
		if r.Err != nil {
			word = r.Err.Code
		}
		said = append(said, r.Reference+" "+word)
	}
	if got := strings.Join(said, ", "); got != "3 EXPIRED, 4 DELETED, 5 UNDELIV, 6 REJECTD, 7 received, last received" {
		t.Error(got)
	}
}

// TestReceiptsInAnotherBase has names of messages written in one base by responses
// and in another by receipts, as some service centres do.
func TestReceiptsInAnotherBase(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{NoReceipts: true})
	p := w.provider(t, w.with("message_ids", "hex"))
	var list reports
	list.listen(p)
	var last provider.Result
	for i := range 4 { // a part of it is the tenth
		r, err := send(t, p, here, message(herald.MessageID(i+1), strings.Repeat("a", 400)))
		if err != nil {
			t.Fatal(err)
		}
		last = r
	}
	if last.Reference != "10,11,12" {
		t.Errorf("the reference is %q", last.Reference)
	}
	for _, id := range []string{"10", "0011", "0000000012"} {
		w.centre.Ask(wire.PDU{Command: wire.DeliverSM, Message: &wire.Message{Class: wire.ClassReceipt, Text: []byte("id:" + id + " stat:DELIVRD")}})
	}
	if got := list.await(t, 1); got[0].Reference != last.Reference {
		t.Errorf("%+v", got)
	}
}

// TestReceiptsFollow: after the session has ended, another one is opened for
// receipts that are still to come.
func TestReceiptsFollow(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{NoReceipts: true})
	p := w.provider(t, w.with())
	var list reports
	list.listen(p)
	if _, err := send(t, p, here, message(1, "a")); err != nil {
		t.Fatal(err)
	}
	for n := range 2 { // nothing is submitted over the second one
		w.centre.Cut()
		eventually(t, "another session", func() bool { return w.centre.Binds() == n+2 && w.centre.Sessions() == 1 })
	}
	w.centre.Ask(wire.PDU{Command: wire.DeliverSM, Message: &wire.Message{Class: wire.ClassReceipt, Text: []byte("id:1 stat:DELIVRD")}})
	if got := list.await(t, 1); got[0].Reference != "1" {
		t.Errorf("%+v", got)
	}
}

// TestReceiptsAreRepeated: one that was not answered comes again.
func TestReceiptsAreRepeated(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	p := w.provider(t, w.with())
	reached, goOn := make(chan struct{}), make(chan struct{})
	first := true
	var told []string // by one goroutine after the other
	again := make(chan struct{})
	p.Listen(func(r provider.Report) {
		told = append(told, r.Reference)
		if first {
			first = false
			close(reached)
			<-goOn // the process dies here, as the service centre sees it
			return
		}
		close(again)
	})
	r, err := send(t, p, here, message(1, "a"))
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	if n := w.centre.Owed(); n != 1 {
		t.Errorf("%d receipts are not answered", n)
	}
	w.centre.Cut()
	eventually(t, "the end of the session", func() bool { return w.centre.Sessions() == 0 })
	close(goOn)
	select {
	case <-again:
	case <-time.After(patience):
		t.Fatal("it does not come again")
	}
	eventually(t, "its answer", func() bool { return w.centre.Owed() == 0 })
	if len(told) != 2 || told[0] != r.Reference || told[1] != r.Reference {
		t.Errorf("told %q", told)
	}
}
