package sqlite

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// TestDamagedMessageHoldsUpNoOther damages one of two messages: what lists
// messages gives the other, and a release without its message keeps its place.
func TestDamagedMessageHoldsUpNoOther(t *testing.T) {
	for _, column := range []string{"body", "target"} {
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
