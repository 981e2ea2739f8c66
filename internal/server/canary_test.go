package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// TestNoSecretIsKept has every kind of credential and key made, used, misused
// and replaced, and looks for each in what each kind of database keeps and in
// the log at its most talkative.
func TestNoSecretIsKept(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		c := newCanary(t, config.Store{Driver: config.StoreSQLite})
		c.live()
		c.judge("the files of the database", databaseFiles(t, c.cfg.Data))
		c.backups()
	})
	for _, d := range []struct {
		driver string
		start  func() (*servers.Server, error)
		open   func(t *testing.T, s *servers.Server) (dsn string, db *sql.DB, tables string)
	}{
		{config.StorePostgres, servers.Postgres, func(t *testing.T, s *servers.Server) (string, *sql.DB, string) {
			return s.PostgresDSN(), openDB(t, "pgx", s.PostgresDSN()), "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
		}},
		{config.StoreMySQL, servers.MariaDB, func(t *testing.T, s *servers.Server) (string, *sql.DB, string) {
			if _, err := openDB(t, "mysql", s.MariaDBDSN("")).ExecContext(t.Context(), "CREATE DATABASE canary"); err != nil {
				t.Fatal(err)
			}
			return s.MariaDBDSN("canary"), openDB(t, "mysql", s.MariaDBDSN("canary")), "SELECT table_name FROM information_schema.tables WHERE table_schema = 'canary'"
		}},
	} {
		t.Run(d.driver, func(t *testing.T) {
			s := servers.Need(t, d.start)
			t.Cleanup(func() {
				if err := s.Remove(); err != nil {
					t.Error(err)
				}
			})
			dsn, db, tables := d.open(t, s)
			c := newCanary(t, config.Store{Driver: d.driver, DSN: dsn})
			c.live()
			c.judge("the tables of the database", dump(t, db, tables))
			c.backups()
		})
	}
}

func openDB(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// dump gives every column of every row of every table.
func dump(t *testing.T, db *sql.DB, tables string) []byte {
	t.Helper()
	var names []string
	rows, err := db.QueryContext(t.Context(), tables)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(names) < 20 {
		t.Fatalf("%d tables, %v", len(names), err)
	}
	var out []byte
	for _, name := range names {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+name)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				switch v := v.(type) {
				case []byte:
					out = append(out, v...)
				default:
					out = fmt.Append(out, v)
				}
				out = append(out, 0)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func databaseFiles(t *testing.T, data string) (kept []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, databaseFile+"*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b...)
	}
	return kept
}

// canary is a server whose secrets are known.
type canary struct {
	*node
	log     lockedBuffer
	secrets map[string]string
	plain   []string // no secrets, but kept
}

func newCanary(t *testing.T, store config.Store) *canary {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Server.HTTP, cfg.Server.Ops, cfg.Store = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", store
	cfg.Limits.AddressRate, cfg.Limits.DeviceRate, cfg.Limits.KeyRate = 0, 0, 0
	c := &canary{secrets: map[string]string{}}
	c.node = &node{t: t, cfg: cfg, done: make(chan error, 1), client: &http.Client{}}
	t.Cleanup(c.end)
	return c
}

// open starts the server, with a log that is kept.
func (c *canary) open() {
	c.t.Helper()
	srv, err := Open(c.t.Context(), c.cfg, slog.New(slog.NewJSONHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(c.t.Context()))
	c.srv, c.stop = srv, stop
	go func() { c.done <- srv.Run(ctx) }()
}

// key notes a key of 32 bytes, in each of its forms.
func (c *canary) key(name string, key []byte) {
	c.secrets[name], c.secrets[name+" as text"], c.secrets[name+" in hex"] = string(key), base64.StdEncoding.EncodeToString(key), hex.EncodeToString(key)
}

// live makes, uses, misuses and replaces.
func (c *canary) live() {
	c.t.Helper()
	ctx := c.t.Context()
	c.open()
	c.key("server key", c.srv.folder.key)
	last := func(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }
	var err error
	if c.app, err = c.srv.Admin().CreateApp(ctx, api.NewApp{Name: "canary-app"}); err != nil {
		c.t.Fatal(err)
	}
	c.secrets["master secret"], c.secrets["JWT secret"] = c.app.MasterSecret, c.app.JWTSecret
	c.secrets["Basic"] = base64.StdEncoding.EncodeToString([]byte(string(c.app.AppKey) + ":" + c.app.MasterSecret))
	if c.app, err = c.srv.Admin().RotateApp(ctx, c.app.AppKey, time.Hour); err != nil {
		c.t.Fatal(err)
	}
	c.secrets["new master secret"] = c.app.MasterSecret

	const installation = "installation-of-the-canary-0123456789"
	c.secrets["installation"] = installation
	d := c.register(api.RegisterRequest{Installation: installation})
	c.secrets["device token"] = last(d.Token)
	page, err := c.srv.Admin().PageToken(ctx, c.app.AppKey, "page-"+installation)
	if err != nil {
		c.t.Fatal(err)
	}
	c.secrets["page token"] = last(page)
	c.call("POST", "/v1/devices", page, `{}`, nil)

	var key, turned api.KeyAnswer
	c.call("POST", "/v1/keys", "", api.KeyRequest{Name: "canary-key", Scopes: []string{"messages:send", "devices:write"}}, &key)
	c.call("POST", "/v1/keys/"+key.ID+"/rotate", "", api.KeyRotation{}, &turned)
	c.secrets["key"], c.secrets["rotated key"] = last(key.Key), last(turned.Key)
	none := []string{"192.0.2.1"}
	for _, token := range []string{key.Key, turned.Key, d.Token, page, key.Key + "x", d.Token + "x", page + "x"} {
		c.call("POST", "/v1/messages", token, `{"audience":"all","data":1}`, nil)
		c.call("GET", "/v1/messages?access_token="+token, token, nil, nil)
		c.call("DELETE", "/v1/keys/"+token, "", nil, nil)
	}
	c.call("PATCH", "/v1/keys/"+key.ID, "", api.KeyUpdate{Networks: &none}, nil)
	c.call("POST", "/v1/messages", turned.Key, `{"audience":"all","data":1}`, nil)
	c.plain = append(c.plain, "canary-app", "canary-key", key.ID, string(d.RegistrationID), "rotateKey", "rotateApp")
	c.jwts(string(d.RegistrationID))
	c.credentials()
	c.webhooks()
	c.end()
	c.configured()
}

// jwts makes secrets that sign JWTs, given and made, and uses such tokens.
func (c *canary) jwts(device string) {
	c.t.Helper()
	for i, given := range []string{"a secret of the back end that signs: canary", ""} {
		var key api.JWTKeyAnswer
		if status := c.call("POST", "/v1/jwt_keys", "", api.JWTKeyRequest{KeyID: fmt.Sprint("canary-kid-", i), Issuer: "canary", Algorithm: "HS256", Secret: given}, &key); status != 201 || (key.Secret == "") != (given != "") {
			c.t.Fatalf("making a key for JWTs was answered %d", status)
		}
		secret := given + key.Secret
		text := base64.StdEncoding.EncodeToString([]byte(secret))
		c.secrets[fmt.Sprint("JWT key ", i)], c.secrets[fmt.Sprint("JWT key in JSON ", i)] = secret, text[:len(text)-4]
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "canary", "aud": c.app.AppKey, "sub": device, "exp": time.Now().Add(time.Hour).Unix()})
		token.Header["kid"] = key.KeyID
		signed, err := token.SignedString([]byte(secret))
		if err != nil {
			c.t.Fatal(err)
		}
		c.secrets[fmt.Sprint("JWT ", i)] = signed[strings.LastIndexByte(signed, '.')+1:]
		for token, want := range map[string]int{signed: 200, signed + "x": 401} {
			if status := c.call("GET", "/v1/devices/"+device, token, nil, nil); status != want {
				c.t.Errorf("a JWT was answered %d, want %d", status, want)
			}
		}
		c.call("GET", "/v1/live/poll?wait=0&access_token="+signed, "", nil, nil)
		c.call("DELETE", "/v1/jwt_keys/"+signed, "", nil, nil)
		c.plain = append(c.plain, key.KeyID, key.ID)
	}
}

// credentials gives a key of a vendor, whole and spoilt, and has it tried.
func (c *canary) credentials() {
	c.t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		c.t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for i, line := range strings.Split(text, "\n")[1:3] {
		c.secrets[fmt.Sprint("line of a vendor's key ", i)] = line
	}
	values := map[string]string{"topic": "canary.example.app", "key_id": "CANARY1234", "team_id": "CANARY5678", "key": text, "url": "https://canary.invalid"}
	var made api.CredentialView
	if status := c.call("POST", "/v1/credentials", "", api.CredentialRequest{Vendor: "apns", Values: values, Verify: true}, &made); status != 201 || made.Problem == nil {
		c.t.Fatalf("a credential was answered %d, %+v", status, made)
	}
	for _, spoilt := range []string{text[:len(text)-40], strings.Replace(text, text[28:93], "", 1)} {
		values["key"] = spoilt
		if status := c.call("PATCH", "/v1/credentials/"+made.ID, "", api.CredentialUpdate{Values: values}, nil); status != 422 {
			c.t.Errorf("a spoilt key was answered %d", status)
		}
	}
	values["key"] = text
	c.call("PATCH", "/v1/credentials/"+made.ID, "", api.CredentialUpdate{Values: values, Verify: true}, nil)
	c.plain = append(c.plain, made.ID, "canary.example.app")
}

// webhooks makes secrets that are sealed: given, made, replaced, used for a
// request that fails, and sealed anew by a rotation of the keys.
func (c *canary) webhooks() {
	c.t.Helper()
	given := "whsec_" + base64.StdEncoding.EncodeToString([]byte("the secret that was given: canary"))
	var hook api.WebhookAnswer
	for i, secret := range []*string{&given, nil} {
		if status := c.call("POST", "/v1/webhooks", "", api.WebhookRequest{URL: "https://canary.invalid/hook", Secret: secret}, &hook); status != 201 {
			c.t.Fatalf("making a webhook was answered %d", status)
		}
		c.hookSecret(fmt.Sprintf("webhook secret %d", i), hook.Secret)
		c.call("POST", "/v1/webhooks/"+hook.ID+"/test", "", map[string]any{}, nil)
		var turned api.WebhookAnswer
		if status := c.call("POST", "/v1/webhooks/"+hook.ID+"/rotate", "", map[string]any{}, &turned); status != 200 {
			c.t.Fatalf("replacing its secret was answered %d", status)
		}
		c.hookSecret(fmt.Sprintf("new webhook secret %d", i), turned.Secret)
	}
	c.plain = append(c.plain, hook.ID, "https://canary.invalid/hook")
	a, done := c.sealing()
	defer done()
	if _, err := a.RotateSecrets(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	sealed := 0
	for after := ""; ; {
		step, err := a.ResealSecrets(c.t.Context(), after)
		if err != nil {
			c.t.Fatal(err)
		}
		if sealed, after = sealed+step.Sealed, step.Next; after == "" {
			break
		}
	}
	if sealed != 7 {
		c.t.Fatalf("%d secrets were sealed anew", sealed)
	}
	keys, err := (seal.Source{File: filepath.Join(c.cfg.Data, secretsFile)}).Keys(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	c.key("sealing key", keys[0])
}

func (c *canary) hookSecret(name, secret string) {
	c.t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.key(name, key)
	// As bytes that were put into JSON, less what depends on their length.
	text := base64.StdEncoding.EncodeToString([]byte(secret))
	c.secrets[name+" in JSON"] = text[:len(text)-4]
}

// configured has the server start with keys from the environment, and fail to
// start without them.
func (c *canary) configured() {
	c.t.Helper()
	fresh, line := seal.Generate()
	other, wrong := seal.Generate()
	c.key("configured key", fresh)
	c.key("wrong key", other)
	c.cfg.Secrets.Keys = strings.TrimSpace(line)
	c.open()
	c.until("everything is sealed anew", func() bool { return strings.Contains(c.keys(), " seals 7, ") })
	c.end()
	for _, keys := range []string{wrong, line[:20]} {
		c.cfg.Secrets.Keys = keys
		_, err := Open(c.t.Context(), c.cfg, slog.New(slog.NewJSONHandler(&c.log, nil)))
		wantError(c.t, err, herald.CodeInvalidRequest, "")
		fmt.Fprintln(&c.log, err) // the command prints it
	}
}

// judge looks for the secrets in what was kept, and in the log.
func (c *canary) judge(where string, kept []byte) {
	c.t.Helper()
	// What is no secret is found where it belongs: it is looked in the right
	// places, and all of this was done.
	for _, word := range c.plain {
		if !bytes.Contains(kept, []byte(word)) {
			c.t.Errorf("%s have no %q", where, word)
		}
	}
	for _, word := range []string{`"operation":"rotateKey"`, `"operation":"rotateWebhook`, "sealed anew"} {
		if !bytes.Contains(c.log.b.Bytes(), []byte(word)) {
			c.t.Errorf("the log does not tell of the calls: no %s", word)
		}
	}
	for name, secret := range c.secrets {
		if len(secret) < 16 {
			c.t.Errorf("the %s is only %d bytes", name, len(secret))
		}
		if bytes.Contains(kept, []byte(secret)) {
			c.t.Errorf("the %s is in %s", name, where)
		}
		if bytes.Contains(c.log.b.Bytes(), []byte(secret)) {
			c.t.Errorf("the %s is in the log", name)
		}
	}
}

// backups looks into a backup without keys, and into one with them, which has
// those of the data folder and no other secret.
func (c *canary) backups() {
	c.t.Helper()
	for _, without := range []bool{true, false} {
		path, _, err := Backup(c.t.Context(), c.cfg, BackupOptions{Path: filepath.Join(c.t.TempDir(), "backup.tar"), NoKeys: without})
		if err != nil {
			c.t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		if without {
			c.judge("a backup without keys", b)
			continue
		}
		for _, name := range []string{"server key as text", "sealing key as text"} {
			if !bytes.Contains(b, []byte(c.secrets[name])) {
				c.t.Errorf("a backup has no %s", name)
			}
			delete(c.secrets, name)
		}
		c.judge("a backup", b)
	}
}
