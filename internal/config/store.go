package config

import (
	"os"
	"strings"

	"github.com/herald-push/herald"
)

// The stores.
const (
	StoreSQLite   = "sqlite"
	StorePostgres = "postgres"
	StoreMySQL    = "mysql"
)

func (s Store) validate(bad func(key, remedy, format string, args ...any)) {
	switch {
	case s.Driver != StoreSQLite && s.Driver != StorePostgres && s.Driver != StoreMySQL:
		bad("store.driver", "Use sqlite, postgres or mysql.", "%.40q is not a store", s.Driver)
	case s.Driver == StoreSQLite && (s.DSN != "" || s.DSNFile != ""):
		bad("store.dsn", "Set store.driver to postgres or mysql, or remove store.dsn and store.dsn_file.", "is set, and sqlite is a file in the data folder")
	case s.Driver != StoreSQLite && s.DSN == "" && s.DSNFile == "":
		bad("store.dsn", "Set it, HERALD_STORE__DSN, or store.dsn_file.", "is empty, and %s needs it", s.Driver)
	case s.DSN != "" && s.DSNFile != "":
		bad("store.dsn_file", "Remove one of them.", "stands beside store.dsn")
	}
}

// Secret gives the DSN, from its file if it is there. It must not be logged.
func (s Store) Secret() (string, error) {
	if s.DSNFile == "" {
		return s.DSN, nil
	}
	b, err := os.ReadFile(s.DSNFile)
	if err != nil {
		return "", herald.Invalid("store.dsn_file", "Name a file that the user of the server may read.", "cannot be read: %v", err)
	}
	return strings.TrimSpace(string(b)), nil
}
