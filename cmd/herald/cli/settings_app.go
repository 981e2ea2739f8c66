package cli

import (
	"context"
	"strings"

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
}

func (c *command) appSet() *cobra.Command {
	var t targetFlags
	var f appFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Change the settings of the app; needs its master secret",
		Long: "Change the settings of the app. What is not named stays as it is.\n\n" +
			"Topics are named by filters: + is any one level, # at the end any number of them, and the level {registration_id}\n" +
			"that of the device itself.",
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
	} {
		if changed(name) {
			some = true
			set()
		}
	}
	if !some {
		return u, usage("Name a setting, such as --topic-publish 'chat/+'; \"herald app show\" prints them.", "nothing is to be changed")
	}
	if err := u.Topics.Validate("topics"); err != nil {
		return u, &coded{ExitUsage, err}
	}
	return u, nil
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
	c.printf("  devices may subscribe to    %s\n", list(texts(a.Topics.Subscribe), "nothing"))
	c.printf("  devices may publish to      %s\n", list(texts(a.Topics.Publish), "nothing"))
	return nil
}

func texts(list []herald.TopicFilter) []string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = string(f)
	}
	return out
}
