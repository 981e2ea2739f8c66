package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) auditCommand() *cobra.Command {
	var f savedFlags
	var q client.AuditQuery
	var alias, since, until string
	cmd := c.savedCommand(&cobra.Command{
		Use:   "audit",
		Short: "Show who changed what, newest first",
		Long: "Show the audit log of the app: each change that a back end, a page or this command made of the app, its keys, devices,\n" +
			"aliases, tags, segments and files, and each message that was withdrawn. It needs the master secret.",
		Example: `  herald audit --since 24h
  herald audit --operation rotateKey --actor master
  herald audit --object 06dbnqfs00v8k3m1p2r4 --json`,
		Args: cobra.NoArgs,
	}, &f, func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
		var err error
		if q.Since, err = c.moment("since", since); err != nil {
			return nil, nil, err
		}
		if q.Until, err = c.moment("until", until); err != nil {
			return nil, nil, err
		}
		q.Alias = herald.Alias(alias)
		page, err := cl.Audit(ctx, q)
		return page, func() error { return c.printAudit(page) }, err
	})
	flags := cmd.Flags()
	flags.StringVar(&q.Actor, "actor", "", "only changes by this key (its ID) or by master, key, page or admin")
	flags.StringVar(&q.Operation, "operation", "", "only this operation, such as deleteKey")
	flags.StringVar(&q.Object, "object", "", "only changes of what has this ID or name")
	flags.StringVar(&alias, "alias", "", "only changes of this alias, in the place of --object")
	flags.StringVar(&since, "since", "", "only changes since a time, or in the last 90m, 24h and the like")
	flags.StringVar(&until, "until", "", "only changes before a time, or before the last 90m, 24h and the like")
	flags.IntVar(&q.Limit, "limit", 0, "entries to show, at most 1000 (default 50)")
	flags.StringVar(&q.Cursor, "cursor", "", "show what comes after a page, by the cursor that it ended with")
	return cmd
}

// moment reads a time, or how long ago it was.
func (c *command) moment(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return c.Now().Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usage("Write 24h, or a time such as 2026-11-21T09:30:00Z.", "--%s: %.40q is not a time", flag, s)
	}
	return t, nil
}

func (c *command) printAudit(page client.AuditPage) error {
	if len(page.Entries) == 0 {
		c.printf("There is no such change.\n")
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tWHO\tFROM\tOPERATION\tOBJECT\tCHANGES")
	for _, e := range page.Entries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.local(e.Time), oneLine(whoChanged(e.Actor)), e.Actor.Address, e.Operation, oneLine(e.Object), oneLine(changed(e.Changes)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if page.NextCursor != "" {
		c.printf("\nThere are more: --cursor %s\n", page.NextCursor)
	}
	return nil
}

func whoChanged(a client.AuditActor) string {
	switch {
	case a.KeyID != "":
		return "key " + a.KeyID + " (" + a.KeyName + ")"
	case a.RegistrationID != "":
		return a.Kind + " " + string(a.RegistrationID)
	}
	return a.Kind
}

// changed writes changes in a line: what was, an arrow, what is.
func changed(changes map[string]client.AuditChange) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		was, is := string(changes[name].Old), string(changes[name].New)
		switch {
		case was == "" && is == "":
			out = append(out, name)
		case was == "":
			out = append(out, name+": "+is)
		case is == "":
			out = append(out, name+": "+was+" -> none")
		default:
			out = append(out, name+": "+was+" -> "+is)
		}
	}
	return strings.Join(out, ", ")
}
