package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// TestDamagedMessageHoldsUpNoOther damages one of two messages: what lists
// messages gives the other, and a release without its message keeps its place.
func TestDamagedMessageHoldsUpNoOther(t *testing.T) {
	for _, column := range []string{"body", "target", "facts"} {
		t.Run(column, func(t *testing.T) {
			ctx, db := t.Context(), newDB(t)
			for id := range herald.MessageID(2) {
				a := message(id+1, 1)
				a.TTL = time.Second
				_, err := db.Accept(ctx, a)
				must(t, err)
			}
			must(t, db.write(ctx, func(tx *tx) error {
				_, err := tx.exec("UPDATE msg SET " + column + " = x'ff' WHERE id = 1")
				return err
			}))
			list, err := db.Releases(ctx, app, 0, 10)
			must(t, err)
			if len(list) != 2 || list[0].Pos != 1 || list[0].Msg != nil || list[1].Msg == nil || list[1].Msg.ID != 2 {
				t.Errorf("the releases are %+v", list)
			}
			for what, read := range map[string]func() ([]*record.Message, error){
				"expired": func() ([]*record.Message, error) { return db.Expired(ctx, time.Now().AddDate(10, 0, 0), 10) },
				"by ID": func() ([]*record.Message, error) {
					return db.MessagesByID(ctx, app, []herald.MessageID{1, 2})
				},
			} {
				got, err := read()
				must(t, err)
				if len(got) != 1 || got[0].ID != 2 {
					t.Errorf("%s: %d messages, want the one that is whole", what, len(got))
				}
			}
			_, err = db.Message(ctx, app, 1)
			wantCode(t, err, herald.CodeStorageUnavailable)
		})
	}
}

// A damaged chunk of direct messages is set aside with a line in the log that
// names the remedy, and a new one takes its place; the others are read.
func TestDirectChunkSetAside(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	var logged bytes.Buffer
	db.cfg.Log = slog.New(slog.NewTextHandler(&logged, nil))
	for id := range herald.MessageID(3) { // the next delivery has the number 3
		_, err := db.Accept(ctx, message(id+1, 1))
		must(t, err)
	}
	fold := func(chunks ...record.Chunk) {
		t.Helper()
		n, err := db.AppendReceipts(ctx, app, nil)
		must(t, err)
		must(t, db.FoldReceipts(ctx, record.Fold{App: app, Upto: n, Chunks: chunks}))
	}
	read := func() (out []string) {
		t.Helper()
		must(t, db.StateChunks(ctx, app, 0, func(c record.Chunk) error {
			out = append(out, fmt.Sprintf("%s %d %v lost %d", c.State, c.Index, c.Bits.Ordinals(), c.Lost))
			return nil
		}))
		slices.Sort(out)
		return out
	}
	want := func(what string, want ...string) {
		t.Helper()
		if got := read(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	fold(record.Chunk{State: herald.StateReceived, Bits: sets.New(0, 1)}, record.Chunk{State: herald.StateSent, Bits: sets.New(0, 1, 2)})
	flip := func() {
		must(t, db.write(ctx, func(tx *tx) error {
			_, err := tx.exec("UPDATE direct_chunk SET crc = crc + 1 WHERE state = 'received'")
			return err
		}))
	}
	flip()
	for range 2 {
		want("set aside", "received 0 [] lost 3", "sent 0 [0 1 2] lost 0")
	}
	if n := strings.Count(logged.String(), "\n"); n != 1 || !strings.Contains(logged.String(), "backup") || !strings.Contains(logged.String(), "deliveries_below=3") {
		t.Errorf("the log has %d lines:\n%s", n, &logged)
	}
	fold(record.Chunk{State: herald.StateReceived, Bits: sets.New(1)})
	want("with a new one", "received 0 [1] lost 0", "received 0 [] lost 3", "sent 0 [0 1 2] lost 0")
	flip() // a second one does not drive out the first
	read()
	want("twice", "received 0 [] lost 3", "sent 0 [0 1 2] lost 0")
}

// Nothing is joined to a damaged chunk of a group message, which stays as it is
// for who asks for it; the others of the call are written.
func TestDamagedChunkIsNotAddedTo(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	var logged bytes.Buffer
	db.cfg.Log = slog.New(slog.NewTextHandler(&logged, nil))
	chunk := func(id herald.MessageID, o herald.Ordinal) record.Chunk {
		return record.Chunk{Msg: id, State: herald.StateSent, Bits: sets.New(o)}
	}
	must(t, db.AddToChunks(ctx, app, []record.Chunk{chunk(1, 1), chunk(2, 1)}))
	must(t, db.write(ctx, func(tx *tx) error {
		_, err := tx.exec("UPDATE msg_chunk SET crc = crc + 1 WHERE msg = 1")
		return err
	}))
	must(t, db.AddToChunks(ctx, app, []record.Chunk{chunk(1, 2), chunk(2, 2)}))
	if err := db.StateChunks(ctx, app, 1, func(record.Chunk) error { return nil }); !errors.Is(err, record.ErrDamaged) {
		t.Errorf("the damaged chunk is read with %v", err)
	}
	must(t, db.StateChunks(ctx, app, 2, func(c record.Chunk) error {
		if !sets.Equal(c.Bits, sets.New(1, 2)) {
			t.Errorf("the other chunk is %d", c.Bits.Ordinals())
		}
		return nil
	}))
	if !strings.Contains(logged.String(), "backup") {
		t.Errorf("the log has %q", &logged)
	}
}

// An entry whose message is damaged comes without it: who reads the message is
// told.
func TestEntryOfDamagedMessage(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	for id := range herald.MessageID(3) {
		_, err := db.Accept(ctx, message(id+1, 1))
		must(t, err)
	}
	must(t, db.write(ctx, func(tx *tx) error {
		if _, err := tx.exec("UPDATE msg SET crc = crc + 1 WHERE id = 1"); err != nil {
			return err
		}
		_, err := tx.exec("UPDATE msg SET target_crc = target_crc + 1 WHERE id = 2")
		return err
	}))
	list, err := db.EntryMessages(ctx, app, 1, 0, 10)
	must(t, err)
	if len(list) != 3 || list[0].Message == nil || list[1].Message != nil || list[2].Message != nil {
		t.Errorf("%+v", list)
	}
}

// TestDamagedAddress: one that cannot be read is left out, and ends neither a
// page nor the walk over a range.
func TestDamagedAddress(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	for i := range 4 {
		_, _, err := db.Register(ctx, record.Registration{
			Device:    record.Device{App: app, ID: herald.RegistrationID(fmt.Sprintf("%020d", i)), Platform: herald.PlatformIOS},
			Addresses: []record.Address{{Kind: "apns", Environment: "sandbox", Token: fmt.Sprint("token ", i)}},
		})
		must(t, err)
	}
	must(t, db.write(ctx, func(tx *tx) error {
		_, err := tx.exec("UPDATE address SET token = x'ff' WHERE ord = 1")
		return err
	}))
	for _, limit := range []int{1, 2, 3, 9} {
		var got []herald.Ordinal
		for from := herald.Ordinal(0); ; {
			list, err := db.AddressesIn(ctx, app, record.OwnerDevice, "apns", "sandbox", from, 9, limit)
			must(t, err)
			for _, a := range list {
				got = append(got, a.Ord)
			}
			if len(list) < limit {
				break
			}
			from = list[len(list)-1].Ord + 1
		}
		if !slices.Equal(got, []herald.Ordinal{0, 2, 3}) {
			t.Errorf("by %d: %v are readable", limit, got)
		}
	}
	list, err := db.Addresses(ctx, app, record.OwnerDevice, 1)
	must(t, err)
	if len(list) != 0 {
		t.Errorf("what is damaged is %+v", list)
	}
}
