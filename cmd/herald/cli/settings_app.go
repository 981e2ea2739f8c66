package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) appShow() *cobra.Command {
	var t targetFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the app and its settings",
		Args:  cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			cl, err := c.client(t)
			if err != nil {
				return err
			}
			app, err := cl.App(ctx)
			if err != nil {
				return err
			}
			return c.printApp(app, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

// appFlags are the settings that app set changes.
type appFlags struct {
	name                        string
	deviceAliases, deviceTags   bool
	origins, subscribe, publish []string
	quiet, zone                 string
	approval                    string
	caps                        []string
}

func (c *command) appSet() *cobra.Command {
	var t targetFlags
	var f appFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Change the settings of the app; needs its master secret",
		Long: "Change the settings of the app. What is not named stays as it is.\n\n" +
			"Topics are named by filters: + is any one level, # at the end any number of them, the level {registration_id}\n" +
			"that of the device itself, and {alias} its alias.",
		Example: `  herald app set --topic-publish 'chat/+' --topic-publish 'device/{registration_id}/#'
  herald app set --topic-subscribe '#' --topic-publish ''
  herald app set --origin https://www.example.com`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.StringVar(&f.name, "name", "", "name of the app")
	fl.BoolVar(&f.deviceAliases, "device-aliases", false, "devices may claim an alias without a signed token")
	fl.BoolVar(&f.deviceTags, "device-tags", false, "devices may change their own tags")
	fl.StringArrayVar(&f.origins, "origin", nil, "web origin that may connect; may be repeated; '' for any")
	fl.StringArrayVar(&f.subscribe, "topic-subscribe", nil, "topics that devices may subscribe to; may be repeated; '#' for all, '' for none")
	fl.StringArrayVar(&f.publish, "topic-publish", nil, "topics that devices may publish to; may be repeated; '#' for all, '' for none")
	fl.StringVar(&f.quiet, "quiet-hours", "", "hours in which devices are not sent what can wait, e.g. 22:00-08:00; '' for none")
	fl.StringVar(&f.zone, "time-zone", "", "time zone of devices that name none, e.g. Europe/Paris")
	fl.StringArrayVar(&f.caps, "cap", nil, "CATEGORY=MAX/TIME: a device gets so many messages of a category within a time, such as news=1/24h; may be repeated; '' for none")
	fl.StringVar(&f.approval, "approval-above", "", "messages to more devices than these wait for a second key to approve them; off for none")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	cmd.RunE = does(func(ctx context.Context, _ []string) error {
		u, err := f.update(fl.Changed)
		if err != nil {
			return err
		}
		cl, err := c.client(t)
		if err != nil {
			return err
		}
		app, err := cl.UpdateApp(ctx, u)
		if err != nil {
			return err
		}
		return c.printApp(app, asJSON)
	})
	return cmd
}

// update makes the change that the flags say.
func (f *appFlags) update(changed func(flag string) bool) (client.AppUpdate, error) {
	var u client.AppUpdate
	some := false
	for name, set := range map[string]func(){
		"name":            func() { u.Name = &f.name },
		"device-aliases":  func() { u.DeviceAliases = &f.deviceAliases },
		"device-tags":     func() { u.DeviceTags = &f.deviceTags },
		"origin":          func() { o := unlessNone(f.origins); u.Origins = &o },
		"topic-subscribe": func() { u.Topics.Subscribe = filters(f.subscribe) },
		"topic-publish":   func() { u.Topics.Publish = filters(f.publish) },
		"time-zone":       func() { u.TimeZone = &f.zone },
		"quiet-hours": func() {
			u.QuietHours = &herald.QuietHours{}
			u.QuietHours.From, u.QuietHours.To, _ = strings.Cut(f.quiet, "-")
		},
	} {
		if changed(name) {
			some = true
			set()
		}
	}
	if changed("cap") {
		some = true
		rules, err := capRules(unlessNone(f.caps))
		if err != nil {
			return u, err
		}
		u.Caps = &rules
	}
	if changed("approval-above") {
		some = true
		rule, err := approvalRule(f.approval)
		if err != nil {
			return u, err
		}
		u.Approval = &rule
	}
	if !some {
		return u, usage("Name a setting, such as --topic-publish 'chat/+'; \"herald app show\" prints them.", "nothing is to be changed")
	}
	if u.QuietHours != nil && f.quiet != "" {
		if err := u.QuietHours.Validate(); err != nil {
			return u, usage("Write them as 22:00-08:00.", "--quiet-hours %s are no hours of the day", f.quiet)
		}
	}
	if err := u.Topics.Validate("topics"); err != nil {
		return u, &coded{ExitUsage, err}
	}
	return u, nil
}

// capRules reads frequency caps.
func capRules(list []string) ([]client.CapRule, error) {
	out := []client.CapRule{}
	for _, s := range list {
		i := strings.LastIndexByte(s, '=')
		most, per, ok := strings.Cut(s[i+1:], "/")
		n, err := strconv.ParseInt(most, 10, 64)
		d, err2 := time.ParseDuration(per)
		if i < 1 || !ok || err != nil || err2 != nil || n < 1 || d < time.Minute {
			return nil, usage("Write CATEGORY=MAX/TIME, for example news=1/24h.", "--cap %.60s is no frequency cap", s)
		}
		out = append(out, client.CapRule{Category: s[:i], Max: n, Per: int64(d / time.Second)})
	}
	return out, nil
}

func approvalRule(s string) (client.ApprovalRule, error) {
	if s == "off" {
		return client.ApprovalRule{}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return client.ApprovalRule{}, usage("Write a number from 0, or off.", "--approval-above %.40s is no number of devices", s)
	}
	return client.ApprovalRule{Required: true, Above: n}, nil
}

// unlessNone gives the values of a flag, of which one empty value means none.
func unlessNone(values []string) []string {
	if len(values) == 1 && values[0] == "" {
		return []string{}
	}
	return values
}

func filters(values []string) []herald.TopicFilter {
	out := []herald.TopicFilter{}
	for _, v := range unlessNone(values) {
		out = append(out, herald.TopicFilter(v))
	}
	return out
}

func (c *command) printApp(a client.App, asJSON bool) error {
	if asJSON {
		return c.printJSON(a)
	}
	list := func(values []string, none string) string {
		if len(values) == 0 {
			return none
		}
		return oneLine(strings.Join(values, ", "))
	}
	word := map[bool]string{true: "yes", false: "no"}
	c.printf("App %q, made %s: %s, %d connected now.\n\n", a.Name, c.local(a.CreatedAt), devices(a.Devices), a.Online)
	c.printf("  app key                     %s\n", a.AppKey)
	c.printf("  devices may claim an alias  %s\n", word[a.DeviceAliases])
	c.printf("  devices may change tags     %s\n", word[a.DeviceTags])
	c.printf("  web origins                 %s\n", list(a.Origins, "any"))
	quiet := "none"
	if a.QuietHours != nil {
		quiet = a.QuietHours.String()
	}
	c.printf("  quiet hours                 %s\n", quiet)
	c.printf("  time zone of the others     %s\n", oneLine(a.TimeZone))
	c.printf("  devices may subscribe to    %s\n", list(texts(a.Topics.Subscribe), "nothing"))
	c.printf("  devices may publish to      %s\n", list(texts(a.Topics.Publish), "nothing"))
	for _, r := range a.Caps {
		c.printf("  a device gets at most       %d of %s in %s\n", r.Max, oneLine(r.Category), time.Duration(r.Per)*time.Second)
	}
	if a.Approval.Required {
		c.printf("  a second key approves       messages to more than %s\n", devices(a.Approval.Above))
	}
	return nil
}

func texts(list []herald.TopicFilter) []string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = string(f)
	}
	return out
}
