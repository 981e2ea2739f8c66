package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) attemptsCommand() *cobra.Command {
	var f savedFlags
	var trace bool
	cmd := c.savedCommand(&cobra.Command{
		Use:   "attempts MESSAGE",
		Short: "Show what vendors said to a message",
		Long: "Show what came of the steps of a message's route that go beyond the live channel: how many came to which outcome, and\n" +
			"why. --trace shows the conversation with each vendor, without secrets; it is kept of messages that were sent with --debug.",
		Example: `  herald attempts 245870126268416001
  herald attempts 245870126268416001 --trace`,
		Args: cobra.ExactArgs(1),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		id, err := herald.ParseMessageID(args[0])
		if err != nil {
			return nil, nil, usage("Use the number that \"herald push\" printed.", "%.40q is not a message ID", args[0])
		}
		r, err := cl.Attempts(ctx, id)
		return r, func() error {
			if trace {
				return c.printConversations(r)
			}
			return c.printAttempts(r)
		}, err
	})
	cmd.Flags().BoolVar(&trace, "trace", false, "show the conversation with each vendor")
	return cmd
}

// printAttempts prints the outcomes, and what is known of those that are not good.
func (c *command) printAttempts(r client.AttemptReport) error {
	if err := c.printOutcomes(r); err != nil {
		return err
	}
	// The same words are said once, however many they are about.
	told := map[string]bool{}
	for _, a := range r.Attempts {
		if a.Outcome == "accepted" && a.Problem == nil || a.Text == "" && a.Problem == nil {
			continue
		}
		var b strings.Builder
		wordsOf(&b, &a, "  ")
		if text := fmt.Sprintf("%s: %s\n%s", a.Vendor, oneLine(dash(a.Code)), b.String()); !told[text] {
			told[text] = true
			c.printf("%s", text)
		}
	}
	c.printPending(r)
	return nil
}

func (c *command) printOutcomes(r client.AttemptReport) error {
	if len(r.Outcomes) == 0 {
		if len(r.Pending) == 0 {
			c.printf("No vendor was asked. A vendor is asked where the app has a credential of it, and a device or a person an address.\n")
		}
		return nil
	}
	rows := [][]string{{"STEP", "CHANNEL", "VENDOR", "OUTCOME", "COUNT", "LAST", "CODE"}}
	for _, o := range r.Outcomes {
		rows = append(rows, []string{strconv.Itoa(o.Step), string(o.Channel), string(o.Vendor), o.Outcome, strconv.FormatInt(o.Count, 10), c.local(o.LastAt), dash(o.Code)})
	}
	return c.printRows(rows)
}

// printPending says what is left to do.
func (c *command) printPending(r client.AttemptReport) {
	for _, p := range r.Pending {
		if p.DueAt.After(c.Now()) {
			c.printf("step %d is due at %s\n", p.Step, c.local(p.DueAt))
		} else {
			c.printf("step %d is not finished: vendors are being asked, or are asked again; what may hold it up: %s credential list\n", p.Step, c.Self)
		}
	}
}

// dash stands for what is not there.
func dash(s string) string { return first(s, "-") }

// conversation is a call to a vendor and its answer.
type conversation struct {
	Took         time.Duration     `json:"took"`
	Method       string            `json:"method"`
	URL          string            `json:"url"`
	Header       map[string]string `json:"header"`
	Body         string            `json:"body"`
	Status       int               `json:"status"`
	AnswerHeader map[string]string `json:"answer_header"`
	Answer       string            `json:"answer"`
	Error        string            `json:"error"`
}

// printConversations prints for people what was said with vendors: what was
// asked, what was answered, what that means, and what to do.
func (c *command) printConversations(r client.AttemptReport) error {
	var b strings.Builder
	for i := range r.Attempts {
		a := &r.Attempts[i]
		fmt.Fprintf(&b, "%s\n", c.bold(fmt.Sprintf("step %d, %s%s", a.Step, a.Vendor, whoOf(a))))
		before := slices.IndexFunc(r.Attempts[:i], func(o client.Attempt) bool {
			return len(a.Trace) > 0 && o.Vendor == a.Vendor && bytes.Equal(o.Trace, a.Trace)
		})
		switch {
		case before >= 0:
			fmt.Fprintf(&b, "  in the same call as%s\n", whoOf(&r.Attempts[before]))
		case len(a.Trace) > 0:
			talk(&b, a.Trace)
		case a.Outcome != "skipped":
			fmt.Fprintf(&b, "  no call was made, or it was not kept: send with --debug\n")
		}
		fmt.Fprintf(&b, "  = %s%s\n", outcomeText(a), detailOf(a))
		wordsOf(&b, a, "    ")
	}
	for _, o := range r.Outcomes {
		if why := unasked(o.Code); why != "" {
			fmt.Fprintf(&b, "%s\n  = %s (%s)\n    %s\n", c.bold(fmt.Sprintf("step %d, %s", o.Step, oneLine(string(o.Channel)))), oneLine(o.Outcome), o.Code, why)
		}
	}
	c.printf("%s", b.String())
	if b.Len() == 0 {
		if err := c.printOutcomes(r); err != nil {
			return err
		}
	}
	c.printPending(r)
	return nil
}

// unasked says why a step asked nobody; "" of other codes.
func unasked(code string) string {
	switch code {
	case "no_credential":
		return "The app has no credential for it: herald credential add"
	case "no_address":
		return "Nobody of the audience has an address for it. Devices send theirs when they register."
	}
	return ""
}

// whoOf names whom an attempt was for; "" of a room or a webhook.
func whoOf(a *client.Attempt) string {
	switch {
	case a.RegistrationID != "":
		return " for device " + oneLine(string(a.RegistrationID))
	case a.Alias != "":
		return " for alias " + oneLine(string(a.Alias))
	}
	return ""
}

func outcomeText(a *client.Attempt) string {
	if a.Code == "" {
		return oneLine(a.Outcome)
	}
	return oneLine(a.Outcome) + " (" + oneLine(a.Code) + ")"
}

// detailOf is what else is known of an attempt.
func detailOf(a *client.Attempt) string {
	var out string
	if a.Tries > 1 {
		out += fmt.Sprintf(", after %d tries", a.Tries)
	}
	if a.Parts > 1 {
		out += fmt.Sprintf(", in %d parts", a.Parts)
	}
	if a.Shortened {
		out += ", shortened"
	}
	if a.Reference != "" {
		out += ", reference " + oneLine(a.Reference)
	}
	if a.State != "" {
		out += ", then " + oneLine(string(a.State))
	}
	return out
}

// wordsOf writes what happened in words, and what to do.
func wordsOf(b *strings.Builder, a *client.Attempt, indent string) {
	for _, line := range []string{a.Text, a.Remedy} {
		if line != "" {
			fmt.Fprintf(b, "%s%s\n", indent, oneLine(line))
		}
	}
	if a.Problem != nil {
		fmt.Fprintf(b, "%sit did not arrive, %s said later: %s\n", indent, a.Vendor, said(a.Problem))
		if a.Problem.Remedy != "" {
			fmt.Fprintf(b, "%s%s\n", indent, oneLine(a.Problem.Remedy))
		}
	}
}

// talk writes calls (>) and their answers (<).
func talk(b *strings.Builder, trace json.RawMessage) {
	var list []conversation
	if err := json.Unmarshal(trace, &list); err != nil {
		fmt.Fprintf(b, "  %s\n", oneLine(string(trace))) // of a newer server
		return
	}
	part := func(mark string, header map[string]string, body string) {
		for _, name := range slices.Sorted(maps.Keys(header)) {
			fmt.Fprintf(b, "  %s %s: %s\n", mark, oneLine(name), oneLine(header[name]))
		}
		body = strings.TrimRight(body, "\r\n")
		switch {
		case body == "":
		case strings.HasPrefix(body, "> ") || strings.HasPrefix(body, "< "): // a dialogue, with marks of its own
			fmt.Fprintf(b, "  %s\n", clean(body, "  "))
		default:
			fmt.Fprintf(b, "  %s %s\n", mark, clean(body, "  "+mark+" "))
		}
	}
	for _, x := range list {
		fmt.Fprintf(b, "  > %s %s\n", oneLine(x.Method), oneLine(x.URL))
		part(">", x.Header, x.Body)
		switch took := x.Took.Round(time.Millisecond); {
		case x.Status == 0 && x.Error == "":
			fmt.Fprintf(b, "  < answered after %s\n", took)
		case x.Status == 0:
			fmt.Fprintf(b, "  < no answer after %s: %s\n", took, oneLine(x.Error))
		case x.Error != "":
			fmt.Fprintf(b, "  < %d after %s: %s\n", x.Status, took, oneLine(x.Error))
		default:
			fmt.Fprintf(b, "  < %d after %s\n", x.Status, took)
		}
		part("<", x.AnswerHeader, x.Answer)
	}
}
