package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// pushWait is how long --wait follows a message.
const pushWait = 10 * time.Second

func addTarget(cmd *cobra.Command, t *targetFlags, secret bool) {
	cmd.Flags().StringVar(&t.url, "url", "", "server (default: $HERALD_URL, or the context in the data folder)")
	cmd.Flags().StringVar(&t.appKey, "app-key", "", "app key (default: $HERALD_APP_KEY, or the context)")
	if secret {
		cmd.Flags().StringVar(&t.secret, "secret", "", "master secret or Bearer key; better in $HERALD_SECRET, where other users cannot see it")
	}
}

// pushFlags are the flags of push.
type pushFlags struct {
	target                            targetFlags
	title, body, data                 string
	all                               bool
	aliases, tags, devices, topics    []string
	segments, files                   []string
	ttl, at, priority, collapse, idem string
	batch                             string
	json, wait                        bool
}

func (c *command) pushCommand() *cobra.Command {
	var f pushFlags
	cmd := &cobra.Command{
		Use:   "push [TEXT]",
		Short: "Send a message",
		Example: `  herald push "Hello"
  herald push --title "Order 7" --body "It has left the house" --alias ann
  herald push --data-json '{"order": 7}' --tag vip --ttl 1h
  herald push --batch messages.ndjson`,
		Args: cobra.MaximumNArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			if f.batch != "" {
				if len(args) > 0 {
					return usage("Leave out one of them.", "--batch and the text %.40q contradict each other", args[0])
				}
				cl, err := c.client(f.target)
				if err != nil {
					return err
				}
				return c.pushBatch(ctx, cl, f.batch)
			}
			m, err := c.pushMessage(f, args)
			if err != nil {
				return err
			}
			cl, err := c.client(f.target)
			if err != nil {
				return err
			}
			ids, err := c.fileIDs(ctx, cl, f.files)
			if err != nil {
				return err
			}
			if ids != nil {
				m.Audience.Files = ids
			}
			return c.push(ctx, cl, m, f)
		}),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.title, "title", "", "title (the TEXT is the title unless --title is given; then it is the body)")
	fl.StringVar(&f.body, "body", "", "body")
	fl.StringVar(&f.data, "data-json", "", "data for the app, as JSON")
	fl.BoolVar(&f.all, "to-all", false, "send to all devices; the default if nobody is named")
	fl.StringArrayVar(&f.aliases, "alias", nil, "send to an alias; may be repeated")
	fl.StringArrayVar(&f.tags, "tag", nil, "send to devices with a tag; may be repeated (any of)")
	fl.StringArrayVar(&f.devices, "device", nil, "send to a registration ID; may be repeated")
	fl.StringArrayVar(&f.topics, "topic", nil, "send to who is subscribed to a topic now; may be repeated (any of)")
	fl.StringArrayVar(&f.segments, "segment", nil, "send to a segment; may be repeated (any of)")
	fl.StringArrayVar(&f.files, "file", nil, "send to an uploaded list, by its id, or to a list to upload, by its path; may be repeated (any of)")
	fl.StringVar(&f.ttl, "ttl", "", "how long it may wait, e.g. 90s, 1h; 0 reaches only who is connected (default 24h)")
	fl.StringVar(&f.priority, "priority", "", "low, normal or high")
	fl.StringVar(&f.collapse, "collapse-key", "", "replaces an earlier message with the same key")
	fl.StringVar(&f.at, "at", "", "when to send: RFC 3339, or a duration from now, e.g. 10m")
	fl.StringVar(&f.idem, "idempotency-key", "", "makes the call repeatable for 24 hours")
	fl.StringVar(&f.batch, "batch", "", "send the messages of a file, or of the standard input (-): one JSON object a line, as POST /v1/messages takes it; prints a result a line")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	fl.BoolVar(&f.wait, "wait", false, "follow the counts until everybody has received it, at most 10s")
	for _, one := range []string{"title", "body", "data-json", "to-all", "alias", "tag", "device", "topic", "segment", "file", "ttl", "priority", "collapse-key", "at", "idempotency-key", "json", "wait"} {
		cmd.MarkFlagsMutuallyExclusive("batch", one)
	}
	addTarget(cmd, &f.target, true)
	return cmd
}

// pushMessage makes the message of the flags.
func (c *command) pushMessage(f pushFlags, args []string) (client.Message, error) {
	// On this command --data may also be the message's data: a JSON object or
	// list cannot be meant as the name of a folder.
	if f.data == "" && (strings.HasPrefix(c.data, "{") || strings.HasPrefix(c.data, "[")) {
		f.data, c.data = c.data, ""
	}
	n := &herald.Notification{Title: f.title, Body: f.body}
	if len(args) == 1 {
		switch {
		case f.title == "":
			n.Title = args[0]
		case f.body == "":
			n.Body = args[0]
		default:
			return client.Message{}, usage("Leave out one of TEXT, --title and --body.", "the text %.40q is neither title nor body", args[0])
		}
	}
	m := client.Message{Priority: herald.Priority(f.priority), CollapseKey: f.collapse, IdempotencyKey: f.idem}
	if n.Title != "" || n.Body != "" {
		m.Notification = n
	}
	if f.data != "" {
		if !json.Valid([]byte(f.data)) {
			return client.Message{}, usage(`Quote it for the shell, for example '{"order": 7}'.`, "the data is not JSON")
		}
		m.Data = json.RawMessage(f.data)
	}
	if m.Notification == nil && m.Data == nil {
		return client.Message{}, usage(`Write for example: herald push "Hello".`, "the message says nothing")
	}
	if err := c.pushTimes(&m, f); err != nil {
		return client.Message{}, err
	}
	return m, pushAudience(&m, f)
}

func (c *command) pushTimes(m *client.Message, f pushFlags) error {
	if f.ttl != "" {
		d, err := time.ParseDuration(f.ttl)
		if err != nil || d < 0 || d > herald.MaxTTL {
			return usage("Write for example 90s, 1h or 0; at most 720h.", "--ttl %s is not a duration from 0 to 30 days", f.ttl)
		}
		m.TTL = client.TTL(d)
	}
	if f.at == "" {
		return nil
	}
	if d, err := time.ParseDuration(f.at); err == nil && d > 0 {
		m.SendAt = c.Now().Add(d).UTC()
		return nil
	}
	t, err := time.Parse(time.RFC3339, f.at)
	if err != nil {
		return usage("Write for example 10m, or 2026-12-24T18:00:00+01:00.", "--at %s is not a time", f.at)
	}
	m.SendAt = t
	return nil
}

func pushAudience(m *client.Message, f pushFlags) error {
	named := len(f.aliases)+len(f.tags)+len(f.devices)+len(f.topics)+len(f.segments)+len(f.files) > 0
	if f.all && named {
		return usage("Leave out --to-all.", "--to-all and --alias, --tag, --device, --topic, --segment or --file contradict each other")
	}
	if !named {
		m.Audience = herald.Audience{All: true}
		return nil
	}
	a := &m.Audience
	// An empty name is a variable that was not set, and must not mean everybody.
	if err := topicArgs(f.topics...); err != nil {
		return err
	}
	if len(f.topics) == 1 {
		a.Topic = herald.Topic(f.topics[0])
	} else {
		for _, t := range asTopics(f.topics) {
			a.Or = append(a.Or, herald.Audience{Topic: t})
		}
	}
	for _, v := range f.aliases {
		a.Aliases = append(a.Aliases, herald.Alias(v))
	}
	for _, v := range f.tags {
		a.Tags = append(a.Tags, herald.Tag(v))
	}
	for _, v := range f.devices {
		a.RegistrationIDs = append(a.RegistrationIDs, herald.RegistrationID(v))
	}
	a.Segments = f.segments
	if f.files != nil {
		a.Files = []herald.FileID{} // the IDs come with the upload
	}
	if err := a.Validate(); err != nil {
		return &coded{ExitUsage, err}
	}
	return nil
}

// push sends and prints what the server answered.
func (c *command) push(ctx context.Context, cl *client.Client, m client.Message, f pushFlags) error {
	sent, err := cl.Send(ctx, m)
	if err != nil {
		return err
	}
	var view *client.MessageView
	if !f.json {
		c.printSent(sent)
	}
	if f.wait {
		if view, err = c.follow(ctx, cl, sent.ID); err != nil {
			return err
		}
	}
	switch {
	case f.json && view != nil:
		return c.printJSON(struct {
			client.Sent
			State  herald.MessageState `json:"state"`
			Counts *herald.Counts      `json:"counts,omitempty"`
		}{sent, view.State, view.Counts})
	case f.json:
		return c.printJSON(sent)
	case view != nil:
		c.printCounts(*view)
	default:
		c.printf("  who received it: %s message %s\n", c.Self, sent.ID)
	}
	return nil
}

// follow asks for the counts until nobody is left to receive the message.
func (c *command) follow(ctx context.Context, cl *client.Client, id herald.MessageID) (*client.MessageView, error) {
	ctx, cancel := context.WithTimeout(ctx, pushWait)
	defer cancel()
	var last *client.MessageView
	for {
		v, err := cl.Message(ctx, id)
		switch {
		case err != nil && last != nil && ctx.Err() != nil:
			return last, nil // the time is over: what was seen last counts
		case err != nil:
			return nil, err
		}
		last = &v
		if v.Counts != nil && (v.State != herald.MessageSending || v.Counts.Received >= v.Counts.Target) {
			return last, nil
		}
		if !pause(ctx, 200*time.Millisecond) {
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return last, nil
		}
	}
}
