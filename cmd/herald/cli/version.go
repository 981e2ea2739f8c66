package cli

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/herald-push/herald/internal/version"
)

// build says what this binary is made of.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	SQLite  string `json:"sqlite"`
}

func thisBuild() build {
	return build{Version: version.Version(), Commit: version.Commit(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, SQLite: sqlite3.SQLITE_VERSION}
}

func (c *command) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program and of what it is made of",
		Args:  cobra.NoArgs,
		RunE: does(func(context.Context, []string) error {
			b := thisBuild()
			if asJSON {
				return c.printJSON(b)
			}
			c.printf("herald %s\n", b.Version)
			if b.Commit != "" {
				c.printf("  commit  %s\n", b.Commit)
			}
			c.printf("  Go      %s\n  system  %s/%s\n  SQLite  %s\n", b.Go, b.OS, b.Arch, b.SQLite)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
