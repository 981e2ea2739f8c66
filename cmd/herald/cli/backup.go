package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/server"
	"github.com/herald-push/herald/internal/server/archive"
)

// storeFlags are the flags of commands that work on the record itself.
type storeFlags struct {
	serverFlags
	asJSON bool
}

func (f *storeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "config", "", "configuration file of the server")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "any other key, as key=value; may be repeated")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

// rows gives a function that shows how far a command is, and one that ends it.
func (c *command) rows() (report server.Report, end func()) {
	p, now, last := c.progress(), "", int64(0)
	end = func() {
		if now != "" {
			p.End(int(last))
		}
		now = ""
	}
	return func(what string, done, all int64) {
		if what != now {
			end()
			now = what
			p.Begin(what)
		}
		last = all
		p.At(int(done), int(all))
	}, end
}

func (c *command) backupCommand() *cobra.Command {
	var f storeFlags
	var o server.BackupOptions
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the record and the keys of a server into one file",
		Long: "Write the record as it is at one moment, the server key and the certificates into FILE; into a folder, with a name\n" +
			"after the time. The server may be running. It works with every store; what is written is the same for all, and can\n" +
			"be restored into any.\n\n" +
			"The file is a secret: with the server key device tokens can be signed.",
		Example: `  herald backup /var/backups/herald/
  herald backup verify /var/backups/herald/herald-20261122T020000Z.tar`,
		Args: cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			return c.onStore(f, func(cfg config.Config, report server.Report) error {
				o.Path, o.Report = args[0], report
				path, m, err := server.Backup(ctx, cfg, o)
				if err != nil {
					return err
				}
				return c.printBackup(path, m, f.asJSON)
			})
		}),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&o.NoKeys, "no-keys", false, "leave out the server key and the certificates, which then have to be kept elsewhere")
	cmd.AddCommand(c.backupVerify())
	return cmd
}

// onStore reads the configuration and shows how far the work is.
func (c *command) onStore(f storeFlags, work func(config.Config, server.Report) error) error {
	cfg, err := c.load(f.serverFlags, nil)
	if err != nil {
		return err
	}
	report, end := c.rows()
	defer end()
	return work(cfg, report)
}

func (c *command) backupVerify() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Read a backup as a restore would, and say whether it is whole",
		Args:  cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			report, end := c.rows()
			m, err := server.VerifyBackup(ctx, args[0], report)
			end()
			if err != nil {
				return err
			}
			return c.printBackup(args[0], m, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// backupView is what is told of a backup in JSON.
type backupView struct {
	Path string `json:"path"`
	archive.Manifest
}

func (c *command) printBackup(path string, m archive.Manifest, asJSON bool) error {
	if asJSON {
		return c.printJSON(backupView{path, m})
	}
	var rows, size int64
	for _, t := range m.Tables {
		rows += t.Rows
	}
	for _, f := range m.Files {
		size += f.Size
	}
	apps := "1 app"
	if n := len(m.Apps); n != 1 {
		apps = fmt.Sprintf("%d apps", n)
	}
	c.printf("%s: %s, %d rows, %s, schema %d, of %s\n", oneLine(path), apps, rows, megabytes(size), m.Schema, c.local(m.Made))
	if m.Keys {
		c.printf("It holds the server key: keep it like a password.\n")
	} else {
		c.printf("It is without the server key and the certificates: keep those of the data folder elsewhere.\n")
	}
	c.printDamaged(m.Damaged())
	return nil
}

// printDamaged warns of rows that are as they were in the database: damaged.
func (c *command) printDamaged(rows []string) {
	if len(rows) > 0 {
		c.notef("warning: rows that were damaged in the database already: %s\n", oneLine(strings.Join(rows, "; ")))
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func (c *command) restoreCommand() *cobra.Command {
	var f storeFlags
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into an empty data folder and database",
		Long: "Put a backup into a data folder, and into the database that the configuration names, both of which must be empty.\n" +
			"Then start the server as always.\n\n" +
			"What was accepted after the backup is not in it: send it again. Devices keep their tokens; those that registered\n" +
			"later register anew by themselves. What devices acknowledged after the backup reaches them once more, with the same\n" +
			"message ID.",
		Args: cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			return c.onStore(f, func(cfg config.Config, report server.Report) error {
				m, err := server.Restore(ctx, cfg, server.RestoreOptions{Path: args[0], Report: report})
				if err != nil {
					return err
				}
				if f.asJSON {
					return c.printJSON(backupView{args[0], m})
				}
				c.printf("%d apps are as they were on %s. What was accepted later has to be sent again.\n", len(m.Apps), c.local(m.Made))
				c.printDamaged(m.Damaged())
				return nil
			})
		}),
	}
	f.add(cmd)
	return cmd
}

func (c *command) migrateStoreCommand() *cobra.Command {
	var o server.MoveOptions
	var asJSON, reopen bool
	cmd := &cobra.Command{
		Use:   "migrate-store --from DATABASE --to DATABASE",
		Short: "Move the record from one database to another",
		Long: "Move the record from one database to another, which must be empty, and compare all rows. A database is\n\n" +
			"  sqlite:FOLDER                          the embedded one, in this data folder\n" +
			"  postgres://USER@HOST/DATABASE          PostgreSQL, or postgres: with a DSN of keywords\n" +
			"  mysql:USER@tcp(HOST:3306)/DATABASE     MariaDB or MySQL\n" +
			"  postgres:@FILE, mysql:@FILE            with the DSN in a file, so that no password is in the list of processes\n\n" +
			"Stop the server first; none can be started on either database meanwhile. When it is interrupted, run it again: it\n" +
			"goes on. In the end no server starts on the source any more, so that nothing is accepted where nobody will look.",
		Example: `  herald migrate-store --from sqlite:/var/lib/herald --to postgres:@/etc/herald/dsn`,
		Args:    cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			switch {
			case o.From == "":
				return usage("Name the database that has the record.", "--from is missing")
			case reopen && o.To != "":
				return usage("Leave one of them out.", "--reopen and --to do not go together")
			case reopen:
				if err := server.ReopenStore(ctx, o.From); err != nil {
					return placeError(err)
				}
				c.printf("A server can be started on the database again.\n")
				return nil
			case o.To == "":
				return usage("Name the empty database that is to have the record.", "--to is missing")
			}
			report, end := c.rows()
			o.Report = report
			m, err := server.MoveStore(ctx, o)
			end()
			if err != nil {
				return placeError(err)
			}
			if asJSON {
				return c.printJSON(m)
			}
			c.printf("%d rows of %d tables were moved from %s to %s, and all are the same. Start the server with the new store.driver.\n", m.Rows, len(m.Tables), m.From, m.To)
			c.printDamaged(m.Damaged())
			return nil
		}),
	}
	cmd.Flags().StringVar(&o.From, "from", "", "the database that has the record")
	cmd.Flags().StringVar(&o.To, "to", "", "the database that is to have it")
	cmd.Flags().BoolVar(&o.KeepSource, "keep-source", false, "let servers start on the source afterwards, for a trial")
	cmd.Flags().BoolVar(&reopen, "reopen", false, "let servers start on --from again, which was moved; what was accepted elsewhere since is not in it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// placeError makes mistakes in the usage of what is wrong with a name.
func placeError(err error) error {
	var e *herald.Error
	if errors.As(err, &e) && e.Code == herald.CodeInvalidRequest {
		return &coded{ExitUsage, err}
	}
	return err
}
