package store

import (
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func TestEntriesOfAnEndedMessage(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	for id := range herald.MessageID(2) {
		_, err := db.Accept(ctx, message(id+1, sets.Range(300).Ordinals()...))
		must(t, err)
	}
	// The process dies between the end and the deletion of the rest.
	must(t, db.write(ctx, func(tx *tx) error {
		r, err := tx.endedRow(1, app, 1)
		if err != nil {
			return err
		}
		return tx.end(1, r, herald.MessageExpired, 0, time.UnixMilli(5))
	}))
	wantCount(t, db, 500, "SELECT COUNT(*) FROM entry")
	for _, ord := range []herald.Ordinal{0, 299} {
		e, err := db.Entries(ctx, app, ord, 0, 10)
		must(t, err)
		if len(e) != 1 || e[0].Msg != 2 {
			t.Errorf("device %d has the entries %v", ord, e)
		}
	}
	_, err := db.Purge(ctx, time.UnixMilli(10), time.UnixMilli(10), 10)
	must(t, err)
	wantCount(t, db, 300, "SELECT COUNT(*) FROM entry")
	_, err = db.EndMessage(ctx, app, 2, herald.MessageExpired, time.UnixMilli(5))
	must(t, err)
	wantCount(t, db, 0, "SELECT COUNT(*) FROM entry")
}

func TestPurgeOfDirectChunks(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	must(t, db.write(ctx, func(tx *tx) error {
		_, err := tx.exec("UPDATE app_head SET next_n = 65530")
		return err
	}))
	for id := range herald.MessageID(2) { // the first has numbers on both sides of 65,536
		_, err := db.Accept(ctx, message(id+1, sets.Range(10).Ordinals()...))
		must(t, err)
	}
	n, err := db.AppendReceipts(ctx, app, nil)
	must(t, err)
	must(t, db.FoldReceipts(ctx, record.Fold{App: app, Upto: n, Chunks: []record.Chunk{
		{State: herald.StateSent, Index: 0, Bits: sets.New(1)}, {State: herald.StateSent, Index: 1, Bits: sets.New(1)}}}))
	purge := func(id herald.MessageID, want int) {
		t.Helper()
		_, err = db.EndMessage(ctx, app, id, herald.MessageExpired, time.UnixMilli(5))
		must(t, err)
		_, err = db.Purge(ctx, time.UnixMilli(10), time.UnixMilli(10), 10)
		must(t, err)
		wantCount(t, db, want, "SELECT COUNT(*) FROM direct_chunk")
	}
	purge(1, 1) // slice 1 is still in use
	purge(2, 1) // and will be: the next number is in it
	wantCount(t, db, 1, "SELECT COUNT(*) FROM direct_chunk WHERE slice = 1")
	for _, table := range []string{"msg", "entry", "release_log", "group_msg", "notice", "collapse"} {
		wantCount(t, db, 0, "SELECT COUNT(*) FROM "+table)
	}
}

// TestDevicesOfAnAlias checks that listing them does not walk every device.
func TestDevicesOfAnAlias(t *testing.T) {
	db := newDB(t)
	q := "EXPLAIN QUERY PLAN SELECT " + deviceColumns + deviceFrom + "d.ord >= ?" + ofAlias + " ORDER BY d.ord LIMIT 1"
	rows, err := db.readers.QueryContext(t.Context(), q, 1, 0, 1, "ann")
	must(t, err)
	defer rows.Close()
	plan := ""
	for rows.Next() {
		var id, parent, unused int
		var step string
		must(t, rows.Scan(&id, &parent, &unused, &step))
		plan += step + "\n"
	}
	if !strings.Contains(plan, "SEARCH d USING PRIMARY KEY (app=? AND ord=?)") || !strings.Contains(plan, "device_recipient") {
		t.Errorf("the plan is\n%s", plan)
	}
}
