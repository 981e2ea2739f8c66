package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// segment saves an expression.
func (w *world) segment(p api.Principal, name string, a herald.Audience) {
	w.t.Helper()
	_, _, err := w.s.Segments.Put(w.t.Context(), p, name, api.SegmentRequest{Audience: a})
	w.must(err)
}

// upload uploads a list of aliases, one on a line.
func (w *world) upload(p api.Principal, lines ...string) api.FileView {
	w.t.Helper()
	v, err := w.s.Files.Upload(w.t.Context(), p, api.Upload{Of: "aliases", Body: strings.NewReader(strings.Join(lines, "\n"))})
	w.must(err)
	return v
}

// estimated is how many devices an audience has.
func (w *world) estimated(p api.Principal, a herald.Audience) int64 {
	w.t.Helper()
	e, err := w.s.Audience.Estimate(w.t.Context(), p, a)
	w.must(err)
	return e.Devices
}

func TestSegmentsAndFilesAuthorization(t *testing.T) {
	w := newWorld(t)
	self, other := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})
	token, err := w.registry.PageToken(w.a, "0123456789abcdef")
	w.must(err)
	page, err := w.s.Apps.Bearer(t.Context(), token, netip.Addr{})
	w.must(err)
	w.segment(w.masterA, "there", herald.Audience{All: true})
	file := w.upload(w.masterA, "anna").ID
	const table = `
		anonymous master send read dread dwrite receipts hread hwrite otherkey self other page group
		put     | u y f f f y f f f f f f f f
		show    | u y f f y f f f f f f f f f
		list    | u y f f y f f f f f f f f f
		delete  | u y f f f y f f f f f f f f
		upload  | u y y f f f f f f f f f f f
		file    | u y y f f f f f f f f f f f
		files   | u y y f f f f f f f f f f f
		discard | u y y f f f f f f f f f f f
		tag     | u y f f f y f f f f f f f f`
	calls := map[string]func(context.Context, api.Principal) error{
		"put": func(ctx context.Context, p api.Principal) error {
			_, _, err := w.s.Segments.Put(ctx, p, "s", api.SegmentRequest{Audience: herald.Audience{All: true}})
			return err
		},
		"show": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Segments.Get(ctx, p, "there")
			return err
		},
		"list": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Segments.List(ctx, p, "", "", 0)
			return err
		},
		"delete": func(ctx context.Context, p api.Principal) error {
			w.segment(w.masterA, "s", herald.Audience{All: true})
			return w.s.Segments.Delete(ctx, p, "s")
		},
		"upload": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Files.Upload(ctx, p, api.Upload{Of: "aliases", Body: strings.NewReader("anna")})
			return err
		},
		"file": func(ctx context.Context, p api.Principal) error { _, err := w.s.Files.Get(ctx, p, file); return err },
		"files": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Files.List(ctx, p, "", 0)
			return err
		},
		"discard": func(ctx context.Context, p api.Principal) error {
			return w.s.Files.Delete(ctx, p, w.upload(w.masterA, "anna").ID)
		},
		"tag": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.ChangeTag(ctx, p, "t", api.TagMembers{AddFiles: []herald.FileID{file}})
			return err
		},
	}
	codes := map[string]herald.Code{"y": "", "f": herald.CodeForbidden, "u": herald.CodeUnauthorized}
	who := callers(t, w, self, other, page)
	lines := strings.Split(strings.TrimSpace(table), "\n")
	names := strings.Fields(lines[0])
	if len(lines) != len(calls)+1 || len(names) != len(who) {
		t.Fatalf("%d rows for %d calls, %d columns for %d callers", len(lines)-1, len(calls), len(names), len(who))
	}
	for _, line := range lines[1:] {
		name, row, _ := strings.Cut(line, "|")
		name = strings.TrimSpace(name)
		for i, want := range strings.Fields(row) {
			if err := calls[name](t.Context(), who[i]); code(err) != codes[want] {
				t.Errorf("%s as %s: got %v, want %q", name, names[i], err, codes[want])
			}
		}
	}
}

func TestSegmentAsAudience(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	reg := func(app herald.AppKey, alias herald.Alias, tags ...herald.Tag) api.Principal {
		t.Helper()
		p := w.device(app, api.RegisterRequest{Alias: alias})
		if len(tags) > 0 {
			_, err := w.s.Devices.Update(ctx, w.masterOf(app), p.Device, api.DeviceUpdate{TagsAdd: tags})
			w.must(err)
		}
		return p
	}
	anna := reg(w.a, "anna", "vip")
	reg(w.a, "ben", "vip", "beta")
	reg(w.a, "", "beta")
	reg(w.b, "", "vip")
	w.segment(w.masterA, "vips", herald.Audience{Tags: []herald.Tag{"vip"}})
	w.segment(w.masterA, "quiet", herald.Audience{Segments: []string{"vips"}, Not: &herald.Audience{Tags: []herald.Tag{"beta"}}})
	vips := herald.Audience{Segments: []string{"vips"}}
	for _, tt := range []struct {
		name string
		a    herald.Audience
		want int64
	}{
		{"one", vips, 2},
		{"within another", herald.Audience{Segments: []string{"quiet"}}, 1},
		{"any of", herald.Audience{Segments: []string{"quiet", "vips"}}, 2},
		{"none named", herald.Audience{Segments: []string{}}, 0},
		{"with and", herald.Audience{Tags: []herald.Tag{"beta"}, Segments: []string{"vips"}}, 1},
		{"with or", herald.Audience{Or: []herald.Audience{vips, {Tags: []herald.Tag{"beta"}}}}, 3},
		{"with not", herald.Audience{Not: &vips}, 1},
	} {
		if got := w.estimated(w.masterA, tt.a); got != tt.want {
			t.Errorf("%s: %d devices, want %d", tt.name, got, tt.want)
		}
	}
	_, err := w.s.Audience.Estimate(ctx, w.masterB, vips)
	wantInvalid(t, err, "audience.segments")
	_, _, err = w.s.Segments.Put(ctx, w.masterA, "a\x00", api.SegmentRequest{Audience: vips})
	wantInvalid(t, err, "name")
	_, _, err = w.s.Segments.Put(ctx, w.masterA, "s", api.SegmentRequest{Audience: herald.Audience{Not: &herald.Audience{Topic: "t"}}})
	wantInvalid(t, err, "audience.not.topic")
	_, _, err = w.s.Segments.Put(ctx, w.masterA, "s", api.SegmentRequest{Audience: herald.Audience{Or: []herald.Audience{{Files: []herald.FileID{"00000000000000000000"}}}}})
	wantInvalid(t, err, "audience.or[0].files")

	// A message keeps what its segment stood for, whatever becomes of it.
	sent := w.sent(w.masterA, `{"audience":{"segments":["quiet"]},"data":1}`)
	w.segment(w.masterA, "vips", herald.Audience{All: true})
	w.segment(w.masterA, "quiet", herald.Audience{Tags: []herald.Tag{"none"}})
	w.must(w.s.Segments.Delete(ctx, w.masterA, "vips"))
	v, err := w.s.Messages.Get(ctx, w.masterA, sent.ID)
	w.must(err)
	if *sent.Target != 1 || v.Counts.Target != 1 || len(v.Audience.Segments) != 1 || len(v.Segments) != 2 ||
		asJSON(t, v.Segments["vips"]) != `{"tags":["vip"]}` || asJSON(t, v.Segments["quiet"].Not) != `{"tags":["beta"]}` {
		t.Errorf("the message is %s", asJSON(t, v))
	}

	// The same call again is the same message, whatever the segment means now.
	body := `{"audience":{"segments":["quiet"]},"data":1}`
	r, err := w.s.Messages.Decode([]byte(body))
	w.must(err)
	once, err := w.s.Messages.Send(ctx, w.masterA, r, "k", []byte(body))
	w.must(err)
	w.segment(w.masterA, "quiet", herald.Audience{All: true})
	if again, err := w.s.Messages.Send(ctx, w.masterA, r, "k", []byte(body)); err != nil || asJSON(t, again) != asJSON(t, once) || *once.Target != 0 {
		t.Errorf("sent %s, and again %s, %v", asJSON(t, once), asJSON(t, again), err)
	}

	// What chooses by alias within a segment does not reach the next user.
	w.segment(w.masterA, "people", herald.Audience{Aliases: []herald.Alias{"anna"}})
	sent = w.sent(w.masterA, `{"audience":{"segments":["people"]},"data":1}`)
	none := herald.Alias("")
	_, err = w.s.Devices.Update(ctx, anna, anna.Device, api.DeviceUpdate{Alias: &none})
	w.must(err)
	tr, err := w.s.Messages.Trace(ctx, w.masterA, sent.ID, anna.Device)
	if err != nil || tr.State != herald.StateRebound {
		t.Errorf("after the unbinding it is %v, %v", tr.State, err)
	}

	page, err := w.s.Segments.List(ctx, w.masterA, "", "", 1)
	if err != nil || len(page.Segments) != 1 || page.Segments[0].Name != "people" || page.NextCursor == "" {
		t.Errorf("first page: %s, %v", asJSON(t, page), err)
	}
	page, err = w.s.Segments.List(ctx, w.masterA, "", page.NextCursor, 1)
	if err != nil || len(page.Segments) != 1 || page.Segments[0].Name != "quiet" || page.NextCursor != "" {
		t.Errorf("second page: %s, %v", asJSON(t, page), err)
	}
	if page, err = w.s.Segments.List(ctx, w.masterB, "", "", 0); err != nil || len(page.Segments) != 0 {
		t.Errorf("of the other app: %s, %v", asJSON(t, page), err)
	}
}

func (w *world) masterOf(app herald.AppKey) api.Principal {
	if app == w.a {
		return w.masterA
	}
	return w.masterB
}

func TestFileAsAudience(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var ids []string
	var devices []api.Principal
	for i := range 5 {
		p := w.device(w.a, api.RegisterRequest{Alias: herald.Alias(fmt.Sprint("u", i/2))})
		ids, devices = append(ids, string(p.Device)), append(devices, p)
	}
	foreign := w.device(w.b, api.RegisterRequest{Alias: "u0"})
	people := w.upload(w.masterA, "u0", "u2", "nobody", "u0")
	if people.Lines != 4 || people.Devices != 3 || people.Unknown != 1 || people.Duplicates != 1 || people.Of != "aliases" {
		t.Errorf("upload: %+v", people)
	}
	w.pass(time.Second)
	list, err := w.s.Files.Upload(ctx, w.masterA, api.Upload{Name: "ids", CSV: true, Body: strings.NewReader("x,registration_id\n1," + ids[0] + "\n2," + string(foreign.Device) + "\n")})
	if err != nil || list.Devices != 1 || list.Unknown != 1 || list.Of != "registration_ids" || list.Name != "ids" {
		t.Errorf("upload: %+v, %v", list, err)
	}
	if shown, err := w.s.Files.Get(ctx, w.masterA, list.ID); err != nil || shown != list {
		t.Errorf("shown %+v, %v", shown, err)
	}
	files := func(ids ...herald.FileID) herald.Audience {
		return herald.Audience{Files: append([]herald.FileID{}, ids...)}
	}
	for _, tt := range []struct {
		name string
		a    herald.Audience
		want int64
	}{
		{"one", files(people.ID), 3},
		{"any of", files(people.ID, list.ID), 3},
		{"none named", files(), 0},
		{"and", herald.Audience{Files: []herald.FileID{people.ID}, And: []herald.Audience{files(list.ID)}}, 1},
		{"not", herald.Audience{Not: &herald.Audience{Files: []herald.FileID{people.ID}}}, 2},
	} {
		if got := w.estimated(w.masterA, tt.a); got != tt.want {
			t.Errorf("%s: %d devices, want %d", tt.name, got, tt.want)
		}
	}
	_, err = w.s.Audience.Estimate(ctx, w.masterB, files(people.ID))
	wantInvalid(t, err, "audience.files")
	if _, err := w.s.Files.Get(ctx, w.masterB, people.ID); code(err) != herald.CodeNotFound {
		t.Errorf("a file of another app: %v", err)
	}
	if err := w.s.Files.Delete(ctx, w.masterB, people.ID); code(err) != herald.CodeNotFound {
		t.Errorf("deleting a file of another app: %v", err)
	}

	// A device that changed its alias after the upload is not meant.
	none := herald.Alias("")
	_, err = w.s.Devices.Update(ctx, devices[0], devices[0].Device, api.DeviceUpdate{Alias: &none})
	w.must(err)
	sent := w.sent(w.masterA, `{"audience":{"files":["`+string(people.ID)+`"]},"data":1}`)
	tr, err := w.s.Messages.Trace(ctx, w.masterA, sent.ID, devices[0].Device)
	if *sent.Target != 2 || err != nil || tr.State != "" {
		t.Errorf("sent to %d, and the device has %v, %v", *sent.Target, tr.State, err)
	}
	tr, err = w.s.Messages.Trace(ctx, w.masterA, sent.ID, devices[1].Device)
	if err != nil || tr.State != herald.StatePending {
		t.Errorf("who is meant still: %v, %v", tr.State, err)
	}
	_, err = w.s.Devices.Update(ctx, devices[1], devices[1].Device, api.DeviceUpdate{Alias: &none})
	w.must(err)
	if tr, err = w.s.Messages.Trace(ctx, w.masterA, sent.ID, devices[1].Device); err != nil || tr.State != herald.StateRebound {
		t.Errorf("who signed out later: %v, %v", tr.State, err)
	}

	// As the source of a tag; a device that was removed is no member.
	w.must(w.s.Devices.Remove(ctx, w.masterA, devices[1].Device))
	changed, err := w.s.Devices.ChangeTag(ctx, w.masterA, "t", api.TagMembers{Members: api.Members{Add: []herald.RegistrationID{devices[2].Device}}, AddFiles: []herald.FileID{people.ID}})
	if err != nil || changed.Added != 3 {
		t.Errorf("tag: %+v, %v", changed, err)
	}
	if got := w.estimated(w.masterA, herald.Audience{Tags: []herald.Tag{"t"}}); got != 3 {
		t.Errorf("%d devices have the tag", got)
	}
	changed, err = w.s.Devices.ChangeTag(ctx, w.masterA, "t", api.TagMembers{RemoveFiles: []herald.FileID{list.ID}})
	if err != nil || changed.Removed != 1 {
		t.Errorf("tag: %+v, %v", changed, err)
	}
	_, err = w.s.Devices.ChangeTag(ctx, w.masterA, "t", api.TagMembers{AddFiles: []herald.FileID{people.ID}, RemoveFiles: []herald.FileID{list.ID}})
	wantInvalid(t, err, "add")
	_, err = w.s.Devices.ChangeTag(ctx, w.masterB, "t", api.TagMembers{AddFiles: []herald.FileID{people.ID}})
	wantInvalid(t, err, "add_files[0]")

	page, err := w.s.Files.List(ctx, w.masterA, "", 1)
	if err != nil || len(page.Files) != 1 || page.Files[0].ID != list.ID || page.NextCursor == "" {
		t.Errorf("first page: %s, %v", asJSON(t, page), err)
	}
	page, err = w.s.Files.List(ctx, w.masterA, page.NextCursor, 1)
	if err != nil || len(page.Files) != 1 || page.Files[0].ID != people.ID || page.NextCursor != "" {
		t.Errorf("second page: %s, %v", asJSON(t, page), err)
	}
	w.must(w.s.Files.Delete(ctx, w.masterA, people.ID))
	_, err = w.s.Audience.Estimate(ctx, w.masterA, files(people.ID))
	wantInvalid(t, err, "audience.files")
}

func TestUploadRefuses(t *testing.T) {
	w := newWorld(t)
	failed := errors.New("cut off")
	for _, tt := range []struct {
		name  string
		u     api.Upload
		field string
	}{
		{"a kind that is none", api.Upload{Of: "tags", Body: strings.NewReader("a")}, "of"},
		{"no kind", api.Upload{Body: strings.NewReader("a\nb")}, "of"},
		{"a name that is none", api.Upload{Of: "aliases", Name: "a\tb", Body: strings.NewReader("a")}, "name"},
		{"no line", api.Upload{Of: "aliases", Body: strings.NewReader("alias\n\n")}, "file"},
		{"a bad line", api.Upload{Of: "registration_ids", Body: strings.NewReader("00000000000000000000\nx")}, "file"},
	} {
		_, err := w.s.Files.Upload(t.Context(), w.masterA, tt.u)
		if code(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		wantInvalid(t, err, tt.field)
	}
	if _, err := w.s.Files.Upload(t.Context(), w.masterA, api.Upload{Of: "aliases", Body: iotest.ErrReader(failed)}); !errors.Is(err, failed) {
		t.Errorf("what did not arrive: %v", err)
	}
	if _, err := w.s.Files.Upload(t.Context(), w.masterA, api.Upload{Of: "aliases", Body: &counting{lines: 1_000_001}}); code(err) != herald.CodeTooLarge {
		t.Errorf("too many lines: %v", err)
	}
	if page, err := w.s.Files.List(t.Context(), w.masterA, "", 0); err != nil || len(page.Files) != 0 {
		t.Errorf("of what was refused there is %s, %v", asJSON(t, page), err)
	}
	_, err := w.s.Files.List(t.Context(), w.masterA, "x", 0)
	wantInvalid(t, err, "cursor")
	var waiting []chan struct{}
	for range 4 {
		begun, end := make(chan struct{}), make(chan struct{})
		waiting = append(waiting, end)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := w.s.Files.Upload(context.Background(), w.masterA, api.Upload{Of: "aliases", Body: &held{begun: begun, end: end}}); err != nil {
				t.Error(err)
			}
		}()
		t.Cleanup(func() { <-done })
		<-begun
	}
	_, err = w.s.Files.Upload(t.Context(), w.masterA, api.Upload{Of: "aliases", Body: strings.NewReader("a")})
	var e *herald.Error
	if !errors.As(err, &e) || e.Code != herald.CodeRateLimited || e.RetryAfter < time.Second {
		t.Errorf("too many at once: %v", err)
	}
	for _, end := range waiting {
		close(end)
	}
}

// counting is a list that says the same again and again.
type counting struct{ lines int }

func (c *counting) Read(b []byte) (n int, err error) {
	for ; c.lines > 0 && n+2 <= len(b); c.lines-- {
		n += copy(b[n:], "a\n")
	}
	if n == 0 {
		return 0, errors.New("read to its end")
	}
	return n, nil
}

// held is a list that does not go on before it is told to.
type held struct {
	begun, end chan struct{}
	read       bool
}

func (h *held) Read(b []byte) (int, error) {
	if h.read {
		return 0, io.EOF
	}
	h.read = true
	close(h.begun)
	<-h.end
	return copy(b, "a\n"), nil
}

// An alias is a recipient: it may be there before and after its devices.
func TestAliasWithoutDevice(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	v, created, err := w.s.Devices.PutAlias(ctx, w.masterA, "anna")
	if err != nil || !created || v.Alias != "anna" || v.CreatedAt.IsZero() || len(v.Devices) != 0 {
		t.Errorf("made: %+v, %v, %v", v, created, err)
	}
	w.pass(time.Hour)
	again, created, err := w.s.Devices.PutAlias(ctx, w.masterA, "anna")
	if err != nil || created || asJSON(t, again) != asJSON(t, v) {
		t.Errorf("made again: %+v, %v, %v", again, created, err)
	}
	if _, err := w.s.Devices.Alias(ctx, w.masterB, "anna"); code(err) != herald.CodeNotFound {
		t.Errorf("in another app: %v", err)
	}
	sent := w.sent(w.masterA, `{"audience":{"aliases":["anna","nobody"]},"data":1}`)
	if *sent.Target != 0 || sent.Unknown != 1 {
		t.Errorf("sent: %s", asJSON(t, sent))
	}
	if f := w.upload(w.masterA, "anna", "nobody"); f.Devices != 0 || f.Unknown != 1 {
		t.Errorf("in a file: %+v", f)
	}
	d := w.device(w.a, api.RegisterRequest{Alias: "anna"})
	if v, err := w.s.Devices.Alias(ctx, w.masterA, "anna"); err != nil || len(v.Devices) != 1 || !v.CreatedAt.Equal(again.CreatedAt) {
		t.Errorf("bound: %+v, %v", v, err)
	}
	w.must(w.s.Devices.Remove(ctx, w.masterA, d.Device))
	if v, err := w.s.Devices.Alias(ctx, w.masterA, "anna"); err != nil || len(v.Devices) != 0 {
		t.Errorf("without its device: %+v, %v", v, err)
	}
	w.must(w.s.Devices.DeleteAlias(ctx, w.masterA, "anna"))
	if _, err := w.s.Devices.Alias(ctx, w.masterA, "anna"); code(err) != herald.CodeNotFound {
		t.Errorf("deleted: %v", err)
	}
	_, _, err = w.s.Devices.PutAlias(ctx, w.masterA, "a\tb")
	wantInvalid(t, err, "alias")
	for name, p := range map[string]api.Principal{"a device": d, "nobody": {Kind: api.Anonymous}} {
		if _, _, err := w.s.Devices.PutAlias(ctx, p, "x"); err == nil {
			t.Errorf("%s makes an alias", name)
		}
	}
}

// What is scheduled, and names a segment that is deleted before it is due, says
// so in its trace: until its TTL ends, and after it.
func TestTraceWithoutSegment(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	anna := w.device(w.a, api.RegisterRequest{})
	w.segment(w.masterA, "vips", herald.Audience{Tags: []herald.Tag{"vip"}})
	id := w.sent(w.masterA, fmt.Sprintf(`{"audience":{"or":[{"segments":["vips"]},{"registration_ids":[%q]}]},"data":1,"ttl":600,"send_at":%q}`,
		anna.Device, w.now.Add(time.Hour).Format(time.RFC3339))).ID
	summary := func(p api.Principal) string {
		t.Helper()
		tr, err := w.s.Messages.Trace(ctx, p, id, anna.Device)
		if p.Backend() {
			w.must(err)
		}
		return tr.Summary
	}
	want := func(when string, parts ...string) {
		t.Helper()
		got := summary(w.masterA)
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q does not say %q", when, got, part)
			}
		}
		if s := summary(anna); strings.Contains(s, "vips") {
			t.Errorf("%s: a device is told %q", when, s)
		}
	}
	w.must(w.s.Segments.Delete(ctx, w.masterA, "vips"))
	want("before", "Not sent yet: it is scheduled")
	w.pass(time.Hour)
	want("due", "Not sent: it was due at", `"vips"`, "tried until its TTL ends")
	w.pass(10 * time.Minute)
	_, err := w.db.EndMessage(ctx, w.a, id, herald.MessageExpired, w.now)
	if err != nil && code(err) != herald.CodeConflict { // the clock may have done it
		t.Fatal(err)
	}
	want("expired", "Never sent: its TTL ended", `"vips"`)
}
