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
	target                                      targetFlags
	title, body, data                           string
	all                                         bool
	aliases, tags, devices, topics              []string
	segments, files                             []string
	ttl, at, priority, collapse, replaces, idem string
	template, language, category                string
	values                                      []string
	batch, spread, local, quiet, route          string
	json, wait, debug, trace                    bool
}

func (c *command) pushCommand() *cobra.Command {
	var f pushFlags
	cmd := &cobra.Command{
		Use:   "push [TEXT]",
		Short: "Send a message",
		Example: `  herald push "Hello"
  herald push --title "Order 7" --body "It has left the house" --alias ann
  herald push --data-json '{"order": 7}' --tag vip --ttl 1h
  herald push --alias ann --trace "Hello"
  herald push --batch messages.ndjson`,
		Args: cobra.MaximumNArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			if f.batch != "" {
				if len(args) > 0 {
					return usage("Leave out one of them.", "--batch and the text %.40q contradict each other", args[0])
				}
				if f.trace {
					return usage(`Give the lines "debug": true, and read what came of one with "herald attempts MESSAGE --trace".`, "--trace follows one message, and --batch sends many")
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
	fl.StringVar(&f.template, "template", "", "makes the message from a template, in the place of TEXT")
	fl.StringArrayVar(&f.values, "value", nil, "NAME=VALUE of a variable of the template; may be repeated")
	fl.StringVar(&f.language, "language", "", "language of the template for all devices; default: for each its own")
	fl.StringVar(&f.category, "category", "", "what kind of message it is for the app")
	fl.StringVar(&f.replaces, "replaces", "", "ID of an earlier message that this one overrides")
	fl.StringVar(&f.at, "at", "", "when to send: RFC 3339, or a duration from now, e.g. 10m")
	fl.StringVar(&f.spread, "spread", "", "release it over a time, as 10m, or at a pace, as 100/s (devices a second)")
	fl.StringVar(&f.local, "local-time", "", "when to send by the clock of each device, e.g. 2026-12-24T18:00:00")
	fl.StringVar(&f.quiet, "quiet-hours", "", "respect or ignore the quiet hours of the app")
	fl.StringVar(&f.route, "route", "", "by which ways to send: a saved route, by its name, or steps, from a file NAME.json or the input (-)")
	fl.BoolVar(&f.debug, "debug", false, "keep what is said with vendors about it")
	fl.BoolVar(&f.trace, "trace", false, "send with --debug, wait until vendors have answered, at most 30s, and show what was said with each")
	fl.StringVar(&f.idem, "idempotency-key", "", "makes the call repeatable for 24 hours")
	fl.StringVar(&f.batch, "batch", "", "send the messages of a file, or of the standard input (-): one JSON object a line, as POST /v1/messages takes it; prints a result a line")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	fl.BoolVar(&f.wait, "wait", false, "follow the counts until everybody has received it, at most 10s")
	for _, one := range []string{"title", "body", "data-json", "to-all", "alias", "tag", "device", "topic", "segment", "file", "ttl", "priority", "collapse-key", "replaces", "template", "value", "language", "category", "at", "spread", "local-time", "quiet-hours", "route", "debug", "idempotency-key", "json", "wait"} {
		cmd.MarkFlagsMutuallyExclusive("batch", one)
	}
	cmd.MarkFlagsMutuallyExclusive("trace", "wait")
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
	m := client.Message{Priority: herald.Priority(f.priority), CollapseKey: f.collapse, Category: f.category, Debug: f.debug || f.trace, IdempotencyKey: f.idem}
	if n.Title != "" || n.Body != "" {
		m.Notification = n
	}
	if f.data != "" {
		if !json.Valid([]byte(f.data)) {
			return client.Message{}, usage(`Quote it for the shell, for example '{"order": 7}'.`, "the data is not JSON")
		}
		m.Data = json.RawMessage(f.data)
	}
	if f.replaces != "" {
		id, err := herald.ParseMessageID(f.replaces)
		if err != nil {
			return client.Message{}, usage("Use the ID that herald push printed.", "--replaces %.40s is not a message ID", f.replaces)
		}
		m.Replaces = id
	}
	if err := f.useTemplate(&m); err != nil {
		return client.Message{}, err
	}
	if m.Notification == nil && m.Data == nil && m.Template == nil {
		return client.Message{}, usage(`Write for example: herald push "Hello".`, "the message says nothing")
	}
	var err error
	if m.Route, err = c.pushRoute(f.route); err != nil {
		return client.Message{}, err
	}
	if err := c.pushTimes(&m, f); err != nil {
		return client.Message{}, err
	}
	if err := pushRelease(&m, f); err != nil {
		return client.Message{}, err
	}
	return m, pushAudience(&m, f)
}

// useTemplate has the message made from a template.
func (f *pushFlags) useTemplate(m *client.Message) error {
	if f.template == "" {
		if len(f.values) > 0 || f.language != "" {
			return usage("Name the template with --template.", "--value and --language are for templates")
		}
		return nil
	}
	if m.Notification != nil {
		return usage("Leave out the text, --title and --body, or --template.", "a message with a template has its text from there")
	}
	values, err := pairs(f.values)
	m.Template = &client.TemplateUse{ID: f.template, Values: values, Language: f.language}
	return err
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
	if f.trace {
		return c.trace(ctx, cl, sent, f.json)
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
