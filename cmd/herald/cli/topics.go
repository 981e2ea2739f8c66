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
	"github.com/herald-push/herald/client/device"
)

// topicArgs checks the names of topics before a server is asked.
func topicArgs(names ...string) error {
	for _, s := range names {
		if err := herald.ValidTopic("topic", s); err != nil {
			return &coded{ExitUsage, err}
		}
	}
	return nil
}

// filterArgs checks topics and filters that are to be subscribed to.
func filterArgs(names ...string) error {
	for _, s := range names {
		if err := herald.ValidSubscription("topic", s); err != nil {
			return &coded{ExitUsage, err}
		}
	}
	return nil
}

func asTopics(names []string) []herald.Topic {
	out := make([]herald.Topic, len(names))
	for i, s := range names {
		out[i] = herald.Topic(s)
	}
	return out
}

func (c *command) topicsCommand() *cobra.Command {
	var t targetFlags
	var asJSON bool
	var prefix string
	cmd := &cobra.Command{
		Use:   "topics [TOPIC...]",
		Short: "Show how many are subscribed to topics now",
		Long:  "Show the topics that somebody is subscribed to, or those named, with the number of devices and of their sessions.",
		RunE: does(func(ctx context.Context, args []string) error {
			if len(args) > 0 && prefix != "" {
				return usage("Leave out --prefix.", "topics by name and --prefix contradict each other")
			}
			if err := topicArgs(args...); err != nil {
				return err
			}
			cl, err := c.client(t)
			if err != nil {
				return err
			}
			list, err := countTopics(ctx, cl, args, prefix)
			if err != nil {
				return err
			}
			if asJSON {
				return c.printJSON(list)
			}
			return c.printTopics(list)
		}),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only topics that begin with this")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

// countTopics counts topics by name, or lists all pages of those with a prefix.
func countTopics(ctx context.Context, cl *client.Client, names []string, prefix string) ([]client.TopicCount, error) {
	if len(names) > 0 {
		return cl.TopicCounts(ctx, asTopics(names)...)
	}
	return allPages(func(cursor string) ([]client.TopicCount, string, error) {
		page, err := cl.Topics(ctx, prefix, cursor, herald.MaxPageSize)
		return page.Topics, page.NextCursor, err
	})
}

// allPages reads a list page by page. An empty one is no nil, which would be null
// in JSON.
func allPages[T any](page func(cursor string) (list []T, next string, err error)) ([]T, error) {
	all := []T{}
	for cursor := ""; ; {
		list, next, err := page(cursor)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if cursor = next; cursor == "" {
			return all, nil
		}
	}
}

// eachNamed asks for one thing after the other, by name.
func eachNamed[T any](names []string, get func(name string) (T, error)) ([]T, error) {
	list := make([]T, 0, len(names))
	for _, s := range names {
		one, err := get(s)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func (c *command) printTopics(list []client.TopicCount) error {
	if len(list) == 0 {
		c.printf("Nobody is subscribed now. Be the first: %s listen --topic TOPIC\n", c.Self)
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DEVICES\tSESSIONS\tTOPIC")
	for _, t := range list {
		fmt.Fprintf(w, "%d\t%d\t%s\n", t.Devices, t.Sessions, oneLine(string(t.Topic)))
	}
	return w.Flush()
}

// heard is one line of listen --json about a topic.
type heard struct {
	Type    string                `json:"type"`
	Topic   herald.Topic          `json:"topic"`
	Time    time.Time             `json:"time,omitzero"`
	From    herald.RegistrationID `json:"from,omitempty"`
	Data    json.RawMessage       `json:"data,omitempty"`
	Devices *int64                `json:"devices,omitempty"`
}

// printHeard prints what was published, as printArrived does a message.
func (c *command) printHeard(p device.Publication, asJSON bool) {
	if asJSON {
		_ = c.printJSON(heard{Type: "topic", Topic: p.Topic, Time: p.Time, From: p.From, Data: p.Data})
		return
	}
	c.printf("%s  %s  %s\n", p.Time.In(c.Now().Location()).Format("15:04:05"), c.bold(oneLine(string(p.Topic))), oneLine(string(p.Data)))
	if p.From != "" {
		c.printf("          from %s\n", oneLine(string(p.From)))
	}
}

func (c *command) printPresence(t herald.Topic, n int64, asJSON bool) {
	if asJSON {
		_ = c.printJSON(heard{Type: "presence", Topic: t, Devices: &n})
		return
	}
	c.printf("%s  %s  %s\n", c.Now().Format("15:04:05"), c.bold(oneLine(string(t))), devices(n))
}
