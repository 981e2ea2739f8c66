package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/client/device"
)

// cliContext is what the command line remembers in the data folder, so that
// push and listen need no flags. The file has mode 0600: it holds secrets.
type cliContext struct {
	URL          string        `json:"url"`
	AppKey       herald.AppKey `json:"app_key"`
	MasterSecret string        `json:"master_secret"`
	// The installations of the pages that dev links to, so that a link names
	// the same device at the next start.
	PageInstallation string          `json:"page_installation,omitempty"`
	LANInstallation  string          `json:"lan_installation,omitempty"`
	Listen           device.Identity `json:"listen,omitzero"`
}

const contextFile = "context.json"

// readContext gives the zero context when there is none.
func readContext(folder string) (cliContext, error) {
	path := filepath.Join(folder, contextFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return cliContext{}, nil
	}
	if err != nil {
		return cliContext{}, configuration(fmt.Errorf("the CLI context cannot be read: %w", err))
	}
	var x cliContext
	if err := json.Unmarshal(b, &x); err != nil {
		return cliContext{}, configuration(herald.Errorf(herald.CodeInvalidRequest, "Remove the file; \"herald dev\" or \"herald app create NAME --context\" makes it again.", "%s is damaged: %s", path, err))
	}
	return x, nil
}

// write replaces the file as a whole.
func (x cliContext) write(folder string) error {
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// CreateTemp makes files of mode 0600.
	t, err := os.CreateTemp(folder, ".context-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(t.Name()) }() // gone already if all went well
	_, err = t.Write(append(b, '\n'))
	if err := errors.Join(err, t.Close()); err != nil {
		return err
	}
	return os.Rename(t.Name(), filepath.Join(folder, contextFile))
}

// listenStore keeps the identity of the terminal device in the context.
type listenStore struct{ folder string }

func (s listenStore) Load() (device.Identity, error) {
	x, err := readContext(s.folder)
	return x.Listen, err
}

func (s listenStore) Save(id device.Identity) error {
	x, err := readContext(s.folder)
	if err != nil {
		return err
	}
	x.Listen = id
	return x.write(s.folder)
}

// target says which server and app a command speaks to.
type target struct {
	url    string
	appKey herald.AppKey
	secret string
	stored bool // the app is that of the context
}

// targetFlags are the flags that override the context.
type targetFlags struct{ url, appKey, secret string }

// target resolves flags, environment and context, in this order.
func (c *command) target(f targetFlags) (target, error) {
	folder := c.folder()
	x, err := readContext(folder)
	if err != nil {
		return target{}, err
	}
	t := target{
		url:    first(f.url, c.env("HERALD_URL"), x.URL),
		appKey: herald.AppKey(first(f.appKey, c.env("HERALD_APP_KEY"), string(x.AppKey))),
		secret: first(f.secret, c.env("HERALD_SECRET")),
	}
	t.stored = x.AppKey != "" && t.appKey == x.AppKey && t.url == x.URL
	if t.secret == "" && t.appKey == x.AppKey {
		// A secret never goes to another app or server than its own.
		if t.url == x.URL {
			t.secret = x.MasterSecret
		}
	}
	if t.url == "" {
		return target{}, configuration(herald.Errorf(herald.CodeInvalidRequest,
			"Start \"herald dev\" in this folder, or give --url, --app-key and --secret (or HERALD_URL, HERALD_APP_KEY, HERALD_SECRET).",
			"no server is known: there is no %s", filepath.Join(folder, contextFile)))
	}
	t.url = strings.TrimRight(t.url, "/")
	return t, nil
}

// client makes a client of the target.
func (c *command) client(f targetFlags) (*client.Client, error) {
	t, err := c.target(f)
	if err != nil {
		return nil, err
	}
	if t.secret == "" {
		return nil, configuration(herald.Errorf(herald.CodeInvalidRequest, "Set HERALD_SECRET to the master secret or to a Bearer key.", "no secret is known for %s", t.url))
	}
	cred := client.Key(t.secret)
	if !strings.HasPrefix(t.secret, "hk1.") {
		if !t.appKey.Valid() {
			return nil, configuration(herald.Errorf(herald.CodeInvalidRequest, "Give --app-key or HERALD_APP_KEY: 24 characters of 0-9 and a-z.", "no valid app key is known"))
		}
		cred = client.MasterSecret(string(t.appKey), t.secret)
	}
	// A person is waiting: fewer tries than a program would make.
	cl, err := client.New(t.url, cred, client.Options{Tries: 2, UserAgent: "herald-cli"})
	return cl, configuration(err)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
