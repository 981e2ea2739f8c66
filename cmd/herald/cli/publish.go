package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) publishCommand() *cobra.Command {
	var t targetFlags
	var asJSON, asText bool
	var p client.Publication
	cmd := &cobra.Command{
		Use:   "publish TOPIC DATA",
		Short: "Publish to who is subscribed to a topic now",
		Long: "Publish DATA, any JSON, to the devices that are subscribed to TOPIC at this moment. It is not stored;\n" +
			"what must arrive is a message: herald push --topic TOPIC. With --retain it is kept for who subscribes later.",
		Example: `  herald publish chat/7 '{"text": "Hello"}'
  herald publish news '"Hello"'
  herald publish --text --retain lamp/1 on`,
		Args: cobra.ExactArgs(2),
		RunE: does(func(ctx context.Context, args []string) error {
			if err := topicArgs(args[0]); err != nil {
				return err
			}
			p.Topic = herald.Topic(args[0])
			if asText {
				p.Text = &args[1]
			} else if p.Data = json.RawMessage(args[1]); !json.Valid(p.Data) {
				return usage(`Quote it for the shell, for example '{"text": "Hello"}' or '"Hello"'; or say --text.`, "the data is not JSON")
			}
			if p.ExpiresIn%time.Second != 0 || p.ExpiresIn < 0 {
				return usage("Give whole seconds, as 90s or 24h.", "--expires-in is %s", p.ExpiresIn)
			}
			cl, err := c.client(t)
			if err != nil {
				return err
			}
			answer, err := cl.PublishWith(ctx, p)
			if err != nil {
				return err
			}
			if asJSON {
				return c.printJSON(answer)
			}
			c.printf("published to %s, for %s\n", oneLine(string(answer.Topic)), devices(answer.Devices))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asText, "text", false, "DATA is text as it stands, not JSON")
	cmd.Flags().BoolVar(&p.Retain, "retain", false, "keep it for who subscribes later; with an empty text nothing is kept any more")
	cmd.Flags().IntVar(&p.QoS, "qos", 0, "1: store it for sessions over MQTT that persist")
	cmd.Flags().StringVar(&p.ContentType, "content-type", "", "what kind of content it is")
	cmd.Flags().DurationVar(&p.ExpiresIn, "expires-in", 0, "after this time it is neither delivered nor kept; default never")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

func (c *command) retainedCommand() *cobra.Command {
	var t targetFlags
	var asJSON, remove bool
	var prefix string
	cmd := &cobra.Command{
		Use:   "retained [TOPIC...]",
		Short: "Show what is kept of topics for who subscribes later",
		Long:  "Show the retained publications of an app, or those of the topics named; with --delete take them away.",
		Example: `  herald retained --prefix lamp/
  herald retained --delete lamp/1`,
		RunE: does(func(ctx context.Context, args []string) error {
			switch {
			case len(args) > 0 && prefix != "":
				return usage("Leave out --prefix.", "topics by name and --prefix contradict each other")
			case remove && len(args) == 0:
				return usage("Name the topics.", "--delete is about topics by name")
			}
			if err := topicArgs(args...); err != nil {
				return err
			}
			cl, err := c.client(t)
			if err != nil {
				return err
			}
			if remove {
				return c.deleteRetained(ctx, cl, args)
			}
			list, err := listRetained(ctx, cl, args, prefix)
			if err != nil {
				return err
			}
			if asJSON {
				return c.printJSON(list)
			}
			return c.printRetained(list)
		}),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only topics that begin with this")
	cmd.Flags().BoolVar(&remove, "delete", false, "take away what is kept of the topics")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

func (c *command) deleteRetained(ctx context.Context, cl *client.Client, topics []string) error {
	for _, s := range topics {
		if err := cl.DeleteRetained(ctx, herald.Topic(s)); err != nil {
			return err
		}
		c.printf("nothing is kept of %s any more\n", oneLine(s))
	}
	return nil
}

// listRetained shows topics by name, or lists all pages of those with a prefix.
func listRetained(ctx context.Context, cl *client.Client, names []string, prefix string) ([]client.Retained, error) {
	if len(names) > 0 {
		return eachNamed(names, func(s string) (client.Retained, error) { return cl.Retained(ctx, herald.Topic(s)) })
	}
	return allPages(func(cursor string) ([]client.Retained, string, error) {
		page, err := cl.ListRetained(ctx, prefix, cursor, herald.MaxPageSize)
		return page.Retained, page.NextCursor, err
	})
}

func (c *command) printRetained(list []client.Retained) error {
	if len(list) == 0 {
		c.printf("Nothing is kept. Keep something: %s publish --retain TOPIC DATA\n", c.Self)
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PUBLISHED\tTOPIC\tCONTENT")
	for _, r := range list {
		content := oneLine(string(r.Data))
		if r.Data == nil {
			content = fmt.Sprintf("%d bytes", len(r.Bytes))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.PublishedAt.In(c.Now().Location()).Format(time.DateTime), oneLine(string(r.Topic)), content)
	}
	return w.Flush()
}
