package cli

import (
	"context"
	"encoding/base64"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) credentialCommand() *cobra.Command {
	return group("credential", "What an app has of vendors, such as Apple and Google", c.credentialList(), c.credentialVendors(), c.credentialAdd(), c.credentialVerify(),
		c.credentialUpdate(), c.credentialRemove())
}

func (c *command) credentialList() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "list", Short: "List credentials and how they stand, without their secrets", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := cl.Credentials(ctx)
			return list, func() error {
				if len(list) == 0 {
					c.printf("There are no credentials. Which there can be: %s credential vendors\n", c.Self)
					return nil
				}
				rows := [][]string{{"CREDENTIAL", "VENDOR", "ENVIRONMENT", "NAME", "STATE", "VERIFIED"}}
				for i := range list {
					k := &list[i]
					verified := "never"
					if k.VerifiedAt != nil {
						verified = c.stamp(*k.VerifiedAt)
					}
					rows = append(rows, []string{k.ID, string(k.Vendor), orElse(k.Environment, "every"), orElse(k.Name, "-"), k.State, verified})
				}
				if err := c.printRows(rows); err != nil {
					return err
				}
				for i := range list {
					if p := list[i].Problem; p != nil {
						c.printf("%s is not taken, at %s: %s\n", list[i].ID, c.stamp(p.At), said(p))
						if p.Remedy != "" {
							c.printf("  %s\n", oneLine(p.Remedy))
						}
					}
				}
				return nil
			}, err
		})
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// said is what a vendor said, in a line.
func said(p *client.VendorProblem) string {
	if p.Code == "" {
		return oneLine(p.Text)
	}
	return oneLine(p.Text) + " (" + oneLine(p.Code) + ")"
}

func (c *command) credentialVendors() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "vendors", Short: "List the vendors, and what a credential of each consists of", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := cl.Vendors(ctx)
			return list, func() error {
				rows := [][]string{{"VENDOR", "FIELD", "", "WHAT IT IS"}}
				for _, v := range list {
					for _, field := range v.Fields {
						note := ""
						switch {
						case field.Needed && field.Secret:
							note = "needed, secret"
						case field.Needed:
							note = "needed"
						case field.Secret:
							note = "secret"
						}
						rows = append(rows, []string{string(v.Name), field.Name, note, field.Help})
					}
				}
				if err := c.printRows(rows); err != nil {
					return err
				}
				for _, v := range list {
					if len(v.Environments) > 0 {
						c.printf("%s has the environments %s\n", v.Name, strings.Join(v.Environments, ", "))
					}
				}
				return nil
			}, err
		})
}

func (c *command) credentialAdd() *cobra.Command {
	var f savedFlags
	var spec client.CredentialSpec
	var set []string
	cmd := c.savedCommand(&cobra.Command{
		Use:   "add VENDOR --set FIELD=VALUE...",
		Short: "Add a credential of a vendor",
		Long: "Add what an app has of a vendor; \"herald credential vendors\" lists the fields. FIELD=@FILE reads a file, FIELD=@- the\n" +
			"standard input; a file that is no text is sent in base64. Secrets are sealed by the server, and never shown again.",
		Example: `  herald credential add apns --set topic=com.example.shop --set key=@AuthKey_ABC123DEFG.p8 --set key_id=ABC123DEFG --set team_id=DEF123GHIJ --verify
  herald credential add fcm --set service_account=@shop-firebase.json --verify`,
		Args: cobra.ExactArgs(1),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		var err error
		spec.Vendor = herald.Vendor(args[0])
		if spec.Values, err = c.values(set); err != nil {
			return nil, nil, err
		}
		k, err := cl.CreateCredential(ctx, spec)
		return k, func() error {
			c.printf("credential %s for %s\n", k.ID, k.Vendor)
			return c.printVerified(k, spec.Verify)
		}, err
	})
	addSet(cmd, &set)
	cmd.Flags().StringVar(&spec.Environment, "environment", "", "the environment of the vendor that it is for (default: every one that has none of its own)")
	cmd.Flags().StringVar(&spec.Name, "name", "", "a name, to tell several of one vendor apart")
	cmd.Flags().BoolVar(&spec.Verify, "verify", false, "ask the vendor at once whether it takes it")
	return cmd
}

func addSet(cmd *cobra.Command, set *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "FIELD=VALUE, FIELD=@FILE, or FIELD=@- for standard input; @@ begins a value with an @; may be repeated")
}

// printVerified says what the vendor said, if it was asked. That it does not take
// the credential is an error, for scripts.
func (c *command) printVerified(k client.Credential, asked bool) error {
	switch {
	case k.Problem != nil && asked:
		return herald.Errorf(herald.CodeConflict, k.Problem.Remedy, "it is kept, but %s does not take it: %s", k.Vendor, said(k.Problem))
	case k.State == "good":
		c.printf("  %s takes it\n", k.Vendor)
	case asked:
		c.printf("  it could not be verified; why: %s credential verify %s\n", c.Self, k.ID)
	default:
		c.printf("  try it: %s credential verify %s\n", c.Self, k.ID)
	}
	return nil
}

func (c *command) credentialVerify() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use: "verify CREDENTIAL", Short: "Ask the vendor whether it takes a credential", Args: cobra.ExactArgs(1),
		Long: "Ask the vendor whether it takes a credential, with a call that reaches nobody, and say what is wrong if it does not.",
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		k, err := cl.VerifyCredential(ctx, args[0])
		return k, func() error {
			if k.Problem != nil {
				return herald.Errorf(herald.CodeConflict, k.Problem.Remedy, "%s does not take it: %s", k.Vendor, said(k.Problem))
			}
			c.printf("%s takes it\n", k.Vendor)
			return nil
		}, err
	})
}

func (c *command) credentialUpdate() *cobra.Command {
	var f savedFlags
	var set []string
	var u client.CredentialUpdate
	cmd := c.savedCommand(&cobra.Command{
		Use: "update CREDENTIAL --set FIELD=VALUE...", Short: "Change values of a credential", Args: cobra.ExactArgs(1),
		Long: "Change values of a credential. Those that are not named stay as they are, secrets too; FIELD= takes one away. What was begun\n" +
			"with the former values is finished with them.",
		Example: "  herald credential update crd_4kq2tz7dgy3bn6mrwx5j1c8ahe --set key=@AuthKey_HIJ456KLMN.p8 --set key_id=HIJ456KLMN --verify",
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		var err error
		if u.Values, err = c.values(set); err != nil {
			return nil, nil, err
		}
		k, err := cl.UpdateCredential(ctx, args[0], u)
		return k, func() error {
			c.printf("changed credential %s\n", k.ID)
			return c.printVerified(k, u.Verify)
		}, err
	})
	addSet(cmd, &set)
	cmd.Flags().BoolVar(&u.Verify, "verify", false, "ask the vendor at once whether it takes it")
	return cmd
}

func (c *command) credentialRemove() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "remove CREDENTIAL", Short: "Remove a credential", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			return struct{}{}, func() error {
				c.printf("removed credential %s\n", oneLine(args[0]))
				return nil
			}, cl.DeleteCredential(ctx, args[0])
		})
}

// values reads what --set gives.
func (c *command) values(set []string) (map[string]string, error) {
	if len(set) == 0 {
		return nil, usage("Give the fields with --set; \""+c.Self+" credential vendors\" lists them.", "there is no --set")
	}
	out := map[string]string{}
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		_, twice := out[name]
		if !ok || name == "" || twice {
			return nil, usage("Write --set FIELD=VALUE, each field once.", "--set %.20q names no field, or one that was named", name)
		}
		switch {
		case strings.HasPrefix(value, "@@"):
			value = value[1:]
		case strings.HasPrefix(value, "@"):
			var err error
			if value, err = c.valueOf(name, value[1:]); err != nil {
				return nil, err
			}
		}
		out[name] = value
	}
	return out, nil
}

// valueOf reads the value of a field from a file, without the end of its last
// line.
func (c *command) valueOf(name, file string) (string, error) {
	const most = 64 << 10
	from := c.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", usage("Name a file that can be read.", "--set %s: %v", name, err)
		}
		defer func() { _ = f.Close() }()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, most+1))
	if err != nil || len(b) > most {
		return "", usage("Name a file of at most 64 KiB.", "--set %s: %s cannot be read, or is larger", name, file)
	}
	if !utf8.Valid(b) {
		return base64.StdEncoding.EncodeToString(b), nil
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}
