package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Store {
		db, err := Open(t.Context(), Config{Path: filepath.Join(o.Dir, "herald.db"), Now: o.Now, OnSets: o.OnSets, OnRelease: o.OnRelease, OnTopics: o.OnTopics})
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

func TestBulk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "herald.db")
	b, err := OpenBulk(t.Context(), Config{Path: path}, record.App{Key: "aaaaaaaaaaaaaaaaaaaaaaaa"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if _, err := OpenBulk(t.Context(), Config{Path: path}, record.App{}); herald.CodeOf(err) != herald.CodeConflict {
		t.Errorf("over a database that is there: %v", err)
	}
}
