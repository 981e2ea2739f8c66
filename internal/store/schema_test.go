package store

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSchemas: the databases have the same tables with the same columns, and a
// number of a schema means the same in each.
func TestSchemas(t *testing.T) {
	db := newDB(t)
	want := map[string][]string{}
	for name := range tables(t, db.readers.DB) {
		if name == "goose_db_version" {
			continue
		}
		rows, err := db.readers.QueryContext(t.Context(), "SELECT name FROM pragma_table_info('"+name+"') ORDER BY name")
		must(t, err)
		for rows.Next() {
			var column string
			must(t, rows.Scan(&column))
			want[name] = append(want[name], column)
		}
		must(t, rows.Close())
	}
	latest := newest(t, "sqlite/driver")
	for _, folder := range []string{"postgres", "mysql"} {
		if n := newest(t, folder); n != latest {
			t.Errorf("the last migration of %s is %s, that of sqlite %s: each change of the schema is a file in every folder", folder, n, latest)
		}
		got := created(t, folder)
		for name, columns := range want {
			if !slices.Equal(got[name], columns) {
				t.Errorf("%s: table %s has the columns %q, want %q", folder, name, got[name], columns)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s has %d tables, want %d", folder, len(got), len(want))
		}
	}
}

func migrationFiles(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(folder + "/migrations/*.sql")
	must(t, err)
	if len(files) == 0 {
		t.Fatalf("%s has no migrations", folder)
	}
	return files // in the order of their names
}

func newest(t *testing.T, folder string) string {
	t.Helper()
	files := migrationFiles(t, folder)
	number, _, _ := strings.Cut(filepath.Base(files[len(files)-1]), "_")
	return number
}

var (
	createTable = regexp.MustCompile(`(?s)CREATE TABLE (\w+) \(\n(.*?)\n\)`)
	addColumn   = regexp.MustCompile(`ALTER TABLE (\w+) ADD COLUMN (\w+)`)
)

// created reads the tables of a folder of migrations, with their columns in
// the order of their names.
func created(t *testing.T, folder string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, file := range migrationFiles(t, folder) {
		b, err := os.ReadFile(file)
		must(t, err)
		for _, m := range createTable.FindAllStringSubmatch(string(b), -1) {
			for line := range strings.SplitSeq(m[2], "\n") {
				column, _, _ := strings.Cut(strings.TrimSpace(line), " ")
				if column = strings.Trim(column, "\"`"); column != "PRIMARY" && column != "KEY" && column != "UNIQUE" {
					out[m[1]] = append(out[m[1]], column)
				}
			}
		}
		for _, m := range addColumn.FindAllStringSubmatch(string(b), -1) {
			out[m[1]] = append(out[m[1]], m[2])
		}
	}
	for name := range out {
		slices.Sort(out[name])
	}
	return out
}
