package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/client"
)

func (c *command) jwtCommand() *cobra.Command {
	return group("jwt", "Keys that check JWTs of devices", c.jwtList(), c.jwtAdd(), c.jwtRemove())
}

func (c *command) jwtList() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use:   "list",
		Short: "List the keys that check JWTs of devices, without their secrets",
		Args:  cobra.NoArgs,
	}, &f, func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
		keys, err := cl.JWTKeys(ctx)
		return keys, func() error { return c.printJWTKeys(keys) }, err
	})
}

func (c *command) printJWTKeys(keys []client.JWTKey) error {
	if len(keys) == 0 {
		c.printf("There is no key yet. Make one with: %s app jwt add KID ISSUER ALGORITHM\n", c.Self)
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKID\tISSUER\tALGORITHM\tEXPIRES")
	for _, k := range keys {
		expires := "never"
		if !k.ExpiresAt.IsZero() {
			expires = c.local(k.ExpiresAt)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, oneLine(k.KeyID), oneLine(k.Issuer), k.Algorithm, expires)
	}
	return w.Flush()
}

func (c *command) jwtAdd() *cobra.Command {
	var f savedFlags
	var publicKey, secret string
	var expires time.Duration
	cmd := c.savedCommand(&cobra.Command{
		Use:   "add KID ISSUER ALGORITHM",
		Short: "Let devices use JWTs of an issuer in the place of a device token",
		Long: "Let devices use JWTs of an issuer in the place of a device token. ALGORITHM is HS256, RS256, ES256 or EdDSA.\n" +
			"HS256 has a secret, which is made and printed this once if no file names it; the others have a public key.",
		Example: `  herald app jwt add 2026 https://id.example.com EdDSA --public-key id.pem
  herald app jwt add first backend HS256`,
		Args: cobra.ExactArgs(3),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		k := client.NewJWTKey{KeyID: args[0], Issuer: args[1], Algorithm: args[2]}
		if expires < 0 {
			return nil, nil, usage("Write how long the key is to be good, such as 2160h.", "--expires: %v is past", expires)
		}
		if expires > 0 {
			k.ExpiresAt = c.Now().Add(expires).UTC()
		}
		for _, file := range []struct {
			flag, name string
			into       *string
		}{{"--public-key", publicKey, &k.PublicKey}, {"--secret-file", secret, &k.Secret}} {
			var err error
			if *file.into, err = shortFile(file.flag, file.name); err != nil {
				return nil, nil, err
			}
		}
		made, err := cl.CreateJWTKey(ctx, k)
		return made, func() error {
			c.printf("made key %s\n", made.ID)
			if made.Secret != "" {
				c.printf("%s\n\nThe secret is shown this once. Whoever has it can be every device.\n", made.Secret)
			}
			return nil
		}, err
	})
	cmd.Flags().StringVar(&publicKey, "public-key", "", "PEM file with the public key, for RS256, ES256 and EdDSA")
	cmd.Flags().StringVar(&secret, "secret-file", "", "file with the secret of HS256, at least 32 bytes, used as it stands (default: one is made)")
	cmd.Flags().DurationVar(&expires, "expires", 0, "how long it is good (default for ever)")
	return cmd
}

// shortFile reads a file that a flag names; "" is none.
func shortFile(flag, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	file, err := os.Open(name)
	if err != nil {
		return "", usage("Name a file that can be read.", "%s: %v", flag, err)
	}
	defer func() { _ = file.Close() }()
	const most = 8 << 10
	b, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil || len(b) > most {
		return "", usage("Name the file of one key.", "%s: %s cannot be read, or has more than %d bytes", flag, name, most)
	}
	return string(b), nil
}

func (c *command) jwtRemove() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use:   "remove ID",
		Short: "Remove a key by its ID; JWTs of it are refused at once",
		Args:  cobra.ExactArgs(1),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		return struct{}{}, func() error {
			c.printf("removed key %s\n", oneLine(args[0]))
			return nil
		}, cl.DeleteJWTKey(ctx, args[0])
	})
}
