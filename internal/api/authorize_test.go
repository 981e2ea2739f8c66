package api_test

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// matrix says who may call what: y yes, f forbidden, u unauthorized, n
// not_found. The columns are the callers in the order of callers.
const matrix = `
method            | anonymous master send read dread dwrite receipts hread hwrite otherkey self other page group
send              | u         y      y    f    f     f      f        f     f      f        f    f     f    f
send to itself    | u         y      y    f    f     f      f        f     f      f        f    f     y    f
show              | u         y      f    y    f     f      f        f     f      n        f    f     f    f
list messages     | u         y      f    y    f     f      f        f     f      y        f    f     f    f
withdraw          | u         y      y    f    f     f      f        f     f      f        f    f     f    f
trace of self     | u         y      f    y    f     f      f        f     f      n        y    f     f    f
trace of page     | u         y      f    y    f     f      f        f     f      n        f    f     y    f
report            | u         y      f    y    f     f      f        f     f      n        f    f     f    f
deliveries        | u         y      f    f    f     f      f        f     f      f        f    f     f    f
deliveries, both  | u         y      y    y    y     y      y        y     y      n        f    f     f    f
attempts          | u         y      f    f    f     f      f        f     f      f        f    f     f    f
attempts, both    | u         y      y    y    y     y      y        y     y      n        f    f     f    f
dead letters      | u         y      f    y    f     f      f        f     f      y        f    f     f    f
retry dead        | u         y      y    f    f     f      f        f     f      f        f    f     f    f
discard dead      | u         y      y    f    f     f      f        f     f      f        f    f     f    f
timeline of self  | u         y      f    f    f     f      f        f     f      f        y    f     f    f
timeline of page  | u         y      f    f    f     f      f        f     f      f        f    f     y    f
export messages   | u         y      f    y    f     f      f        f     f      y        f    f     f    f
export devices    | u         y      f    f    y     f      f        f     f      f        f    f     f    f
estimate          | u         y      y    f    f     f      f        f     f      f        f    f     f    f
register          | y         y      f    f    f     y      f        f     f      f        f    f     y    f
device of self    | u         y      f    f    y     f      f        f     f      f        y    f     f    f
device of page    | u         y      f    f    y     f      f        f     f      f        f    f     y    f
list devices      | u         y      f    f    y     f      f        f     f      f        f    f     f    f
update self       | u         y      f    f    f     y      f        f     f      f        y    f     f    f
update page       | u         y      f    f    f     y      f        f     f      f        f    f     f    f
tag self          | u         y      f    f    f     y      f        f     f      f        f    f     f    f
alias self        | u         y      f    f    f     y      f        f     f      f        f    f     f    f
unbind self       | u         y      f    f    f     y      f        f     f      f        y    f     f    f
remove a third    | u         y      f    f    f     y      f        f     f      f        f    f     f    f
erase a third     | u         y      f    f    f     y      f        f     f      f        f    f     f    f
tag               | u         y      f    f    y     f      f        f     f      f        f    f     f    f
tags              | u         y      f    f    y     f      f        f     f      f        f    f     f    f
change tag        | u         y      f    f    f     y      f        f     f      f        f    f     f    f
delete tag        | u         y      f    f    f     y      f        f     f      f        f    f     f    f
alias             | u         y      f    f    y     f      f        f     f      f        f    f     f    f
put addresses     | u         y      f    f    f     y      f        f     f      f        f    f     f    f
addresses         | u         y      f    f    y     f      f        f     f      f        f    f     f    f
delete address    | u         y      f    f    f     y      f        f     f      f        f    f     f    f
change alias      | u         y      f    f    f     y      f        f     f      f        f    f     f    f
delete alias      | u         y      f    f    f     y      f        f     f      f        f    f     f    f
receipt of self   | u         y      f    f    f     f      y        f     f      f        y    f     f    f
app               | u         y      f    f    f     f      f        f     f      f        f    f     f    f
update app        | u         y      f    f    f     f      f        f     f      f        f    f     f    f
keys              | u         y      f    f    f     f      f        f     f      f        f    f     f    f
create key        | u         y      f    f    f     f      f        f     f      f        f    f     f    f
audit             | u         y      f    f    f     f      f        f     f      f        f    f     f    f
rotate key        | u         y      f    f    f     f      f        f     f      f        f    f     f    f
change key        | u         y      f    f    f     f      f        f     f      f        f    f     f    f
publish           | u         y      y    f    f     f      f        f     f      f        y    y     f    f
publish elsewhere | u         y      y    f    f     f      f        f     f      f        f    f     f    f
list retained     | u         y      f    y    f     f      f        f     f      y        f    f     f    f
retained          | u         y      f    y    f     f      f        f     f      n        f    f     f    f
delete retained   | u         y      y    f    f     f      f        f     f      f        f    f     f    f
list sessions     | u         y      f    f    y     f      f        f     f      f        f    f     f    f
session           | u         y      f    f    y     f      f        f     f      f        f    f     f    f
end session       | u         y      f    f    f     y      f        f     f      f        f    f     f    f
list topics       | u         y      f    f    y     f      f        f     f      f        f    f     f    f
count topics      | u         y      f    f    y     f      f        f     f      f        f    f     f    f
topic rules       | u         y      f    f    f     f      f        f     f      f        f    f     f    f
message by topic  | u         y      y    f    f     f      f        f     f      f        f    f     f    f
delete key        | u         y      f    f    f     f      f        f     f      f        f    f     f    f
list webhooks     | u         y      f    f    f     f      f        y     f      f        f    f     f    f
webhook           | u         y      f    f    f     f      f        y     f      f        f    f     f    f
deliveries of one | u         y      f    f    f     f      f        y     f      f        f    f     f    f
create webhook    | u         y      f    f    f     f      f        f     y      f        f    f     f    f
update webhook    | u         y      f    f    f     f      f        f     y      f        f    f     f    f
rotate webhook    | u         y      f    f    f     f      f        f     y      f        f    f     f    f
test webhook      | u         y      f    f    f     f      f        f     y      f        f    f     f    f
replay webhook    | u         y      f    f    f     f      f        f     y      f        f    f     f    f
delete webhook    | u         y      f    f    f     f      f        f     y      f        f    f     f    f
group             | u         f      f    f    f     f      f        f     f      f        f    f     f    y
send to group     | u         f      f    f    f     f      f        f     f      f        f    f     f    y
group messages    | u         f      f    f    f     f      f        f     f      f        f    f     f    y
group message     | u         f      f    f    f     f      f        f     f      f        f    f     f    n
put template      | u         y      y    f    f     f      f        f     f      f        f    f     f    f
template          | u         y      y    f    f     f      f        f     f      f        f    f     f    f
templates         | u         y      y    f    f     f      f        f     f      f        f    f     f    f
render            | u         y      y    f    f     f      f        f     f      f        f    f     f    f
delete template   | u         y      y    f    f     f      f        f     f      f        f    f     f    f
put route         | u         y      y    f    f     f      f        f     f      f        f    f     f    f
route             | u         y      y    f    f     f      f        f     f      f        f    f     f    f
routes            | u         y      y    f    f     f      f        f     f      f        f    f     f    f
delete route      | u         y      y    f    f     f      f        f     f      f        f    f     f    f
make schedule     | u         y      y    f    f     f      f        f     f      f        f    f     f    f
schedules         | u         y      f    y    f     f      f        f     f      y        f    f     f    f
schedule          | u         y      f    y    f     f      f        f     f      n        f    f     f    f
next occurrences  | u         y      f    y    f     f      f        f     f      n        f    f     f    f
runs              | u         y      f    y    f     f      f        f     f      n        f    f     f    f
preview           | u         y      f    y    f     f      f        f     f      y        f    f     f    f
change schedule   | u         y      y    f    f     f      f        f     f      f        f    f     f    f
pause schedule    | u         y      y    f    f     f      f        f     f      f        f    f     f    f
resume schedule   | u         y      y    f    f     f      f        f     f      f        f    f     f    f
skip              | u         y      y    f    f     f      f        f     f      f        f    f     f    f
run schedule      | u         y      y    f    f     f      f        f     f      f        f    f     f    f
delete schedule   | u         y      y    f    f     f      f        f     f      f        f    f     f    f
approve           | u         y      y    f    f     f      f        f     f      f        f    f     f    f
reject            | u         y      y    f    f     f      f        f     f      f        f    f     f    f
`

func callers(t *testing.T, w *world, self, other, page api.Principal) []api.Principal {
	t.Helper()
	out := []api.Principal{{Kind: api.Anonymous}, w.masterA}
	add := func(p api.Principal, scope api.Scope) {
		k, err := w.s.Apps.CreateKey(t.Context(), p, api.KeyRequest{Name: string(scope), Scopes: []string{string(scope)}})
		w.must(err)
		who, err := w.s.Apps.Bearer(t.Context(), k.Key, netip.Addr{})
		w.must(err)
		out = append(out, who)
	}
	for _, scope := range api.GrantableScopes {
		if scope == api.ScopeVendorsRead || scope == api.ScopeVendorsWrite {
			continue // see TestCredentialAuthorization
		}
		add(w.masterA, scope)
	}
	add(w.masterB, api.ScopeRead)
	return append(out, self, other, page, w.grouped(w.a, w.b))
}

func TestAuthorization(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	self, other := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})
	token, err := w.registry.PageToken(w.a, "0123456789abcdef")
	w.must(err)
	stranger, err := w.s.Apps.Bearer(ctx, token, netip.Addr{})
	w.must(err)
	_, err = w.s.Devices.Register(ctx, stranger, api.RegisterRequest{})
	w.must(err)
	page, err := w.s.Apps.Bearer(ctx, token, netip.Addr{})
	w.must(err)
	_, err = w.s.Apps.Update(ctx, w.masterA, api.AppUpdate{Topics: &api.TopicRulesUpdate{Publish: &[]herald.TopicFilter{"chat/+"}}})
	w.must(err)
	target := w.sent(w.masterA, `{"audience":"all","data":1}`).ID

	body := func(text string) api.SendRequest {
		r, err := w.s.Messages.Decode([]byte(text))
		w.must(err)
		return r
	}
	send := func(text string) func(context.Context, api.Principal) error {
		return func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Send(ctx, p, body(text), "", nil)
			return err
		}
	}
	update := func(id herald.RegistrationID, u api.DeviceUpdate) func(context.Context, api.Principal) error {
		return func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.Update(ctx, p, id, u)
			return err
		}
	}
	publish := func(topic herald.Topic) func(context.Context, api.Principal) error {
		return func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Topics.Publish(ctx, p, api.PublishRequest{Topic: topic, Data: []byte("1")})
			return err
		}
	}
	topics := func(q api.TopicQuery) func(context.Context, api.Principal) error {
		return func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Topics.List(ctx, p, q)
			return err
		}
	}
	language, alias, none := "de", herald.Alias("anna"), herald.Alias("")
	members := api.Members{Add: []herald.RegistrationID{self.Device}}
	var third api.Principal // made anew for each caller, with the tag and alias "t"
	methods := map[string]func(context.Context, api.Principal) error{
		"send":           send(`{"audience":"all","data":1}`),
		"send to itself": send(toDevice(page)),
		"show": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Get(ctx, p, target)
			return err
		},
		"list messages": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.List(ctx, p, "", "", 0)
			return err
		},
		"withdraw": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Withdraw(ctx, p, w.sent(w.masterA, `{"audience":"all","data":1}`).ID)
			return err
		},
		"trace of self": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Trace(ctx, p, target, self.Device)
			return err
		},
		"trace of page": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Trace(ctx, p, target, page.Device)
			return err
		},
		"report": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Report(ctx, p, target, "")
			return err
		},
		"deliveries": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Deliveries(ctx, p, target, api.DeliveryQuery{})
			_, each := w.s.Messages.EachDelivery(ctx, p, target, api.DeliveryQuery{})
			if code(err) != code(each) {
				t.Errorf("pages answer %v, a stream %v", err, each)
			}
			return err
		},
		// A key that has both scopes, whatever else it has.
		"deliveries, both": func(ctx context.Context, p api.Principal) error {
			p.Scopes = append(slices.Clone(p.Scopes), api.ScopeRead, api.ScopeDevicesRead)
			_, err := w.s.Messages.Deliveries(ctx, p, target, api.DeliveryQuery{})
			return err
		},
		"timeline of self": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.Timeline(ctx, p, self.Device, "", 0)
			return err
		},
		"timeline of page": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.Timeline(ctx, p, page.Device, "", 0)
			return err
		},
		"export messages": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.EachMessage(ctx, p, "", "")
			return err
		},
		"export devices": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.Each(ctx, p, api.DeviceQuery{})
			return err
		},
		"estimate": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Audience.Estimate(ctx, p, herald.Audience{All: true})
			return err
		},
		"register": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.Register(ctx, p, api.RegisterRequest{AppKey: w.a})
			return err
		},
		"device of self": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.Get(ctx, p, self.Device)
			return err
		},
		"device of page": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.Get(ctx, p, page.Device)
			return err
		},
		"list devices": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.List(ctx, p, api.DeviceQuery{})
			return err
		},
		"update self":    update(self.Device, api.DeviceUpdate{Language: &language}),
		"update page":    update(page.Device, api.DeviceUpdate{Language: &language}),
		"tag self":       update(self.Device, api.DeviceUpdate{TagsAdd: []herald.Tag{"x"}}),
		"alias self":     update(self.Device, api.DeviceUpdate{Alias: &alias}),
		"unbind self":    update(self.Device, api.DeviceUpdate{Alias: &none}),
		"remove a third": func(ctx context.Context, p api.Principal) error { return w.s.Devices.Remove(ctx, p, third.Device) },
		"erase a third":  func(ctx context.Context, p api.Principal) error { return w.s.Devices.Erase(ctx, p, third.Device) },
		"tag":            func(ctx context.Context, p api.Principal) error { _, err := w.s.Devices.Tag(ctx, p, "t"); return err },
		"tags": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.Tags(ctx, p, "", "", 0)
			return err
		},
		"change tag": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.ChangeTag(ctx, p, "t", api.TagMembers{Members: members})
			return err
		},
		"delete tag": func(ctx context.Context, p api.Principal) error { return w.s.Devices.DeleteTag(ctx, p, "t") },
		"alias":      func(ctx context.Context, p api.Principal) error { _, err := w.s.Devices.Alias(ctx, p, "t"); return err },
		"change alias": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.ChangeAlias(ctx, p, "t", members)
			return err
		},
		"delete alias": func(ctx context.Context, p api.Principal) error { return w.s.Devices.DeleteAlias(ctx, p, "t") },
		"receipt of self": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Receipts.Report(ctx, p, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: target, Event: herald.StateReceived, RegistrationID: self.Device}}})
			return err
		},
		"app": func(ctx context.Context, p api.Principal) error { _, err := w.s.Apps.Get(ctx, p); return err },
		"update app": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Apps.Update(ctx, p, api.AppUpdate{})
			return err
		},
		"publish":           publish("chat/7"),
		"publish elsewhere": publish("news"),
		"list topics":       topics(api.TopicQuery{}),
		"count topics":      topics(api.TopicQuery{Topics: []herald.Topic{"chat/7"}}),
		"topic rules": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Apps.Update(ctx, p, api.AppUpdate{Topics: &api.TopicRulesUpdate{}})
			return err
		},
		"message by topic": send(`{"audience":{"topic":"chat/7"},"data":1}`),
		"keys":             func(ctx context.Context, p api.Principal) error { _, err := w.s.Apps.Keys(ctx, p); return err },
		"create key": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Apps.CreateKey(ctx, p, api.KeyRequest{Name: "n", Scopes: []string{"messages:send"}})
			return err
		},
		"audit": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Apps.Audit(ctx, p, api.AuditQuery{})
			return err
		},
		"rotate key": func(ctx context.Context, p api.Principal) error {
			k, err := w.s.Apps.CreateKey(ctx, w.masterA, api.KeyRequest{Name: "n", Scopes: []string{"messages:send"}})
			w.must(err)
			_, err = w.s.Apps.RotateKey(ctx, p, k.ID, api.KeyRotation{})
			return err
		},
		"change key": func(ctx context.Context, p api.Principal) error {
			k, err := w.s.Apps.CreateKey(ctx, w.masterA, api.KeyRequest{Name: "n", Scopes: []string{"messages:send"}})
			w.must(err)
			_, err = w.s.Apps.UpdateKey(ctx, p, k.ID, api.KeyUpdate{})
			return err
		},
		"delete key": func(ctx context.Context, p api.Principal) error {
			k, err := w.s.Apps.CreateKey(ctx, w.masterA, api.KeyRequest{Name: "n", Scopes: []string{"messages:send"}})
			w.must(err)
			return w.s.Apps.DeleteKey(ctx, p, k.ID)
		},
	}
	maps.Copy(methods, w.webhookMethods())
	maps.Copy(methods, w.groupMethods())
	maps.Copy(methods, w.addressMethods())
	maps.Copy(methods, w.attemptMethods(target))
	maps.Copy(methods, w.approvalMethods())
	maps.Copy(methods, w.templateMethods())
	maps.Copy(methods, w.routeMethods())
	maps.Copy(methods, w.retainedMethods())
	maps.Copy(methods, w.sessionMethods())
	maps.Copy(methods, w.scheduleMethods())
	codes := map[string]herald.Code{"y": "", "f": herald.CodeForbidden, "u": herald.CodeUnauthorized, "n": herald.CodeNotFound}
	who := callers(t, w, self, other, page)
	lines := strings.Split(strings.TrimSpace(matrix), "\n")
	_, head, _ := strings.Cut(lines[0], "|")
	names := strings.Fields(head)
	if len(names) != len(who) || len(lines)-1 != len(methods) {
		t.Fatalf("%d columns for %d callers, %d rows for %d methods", len(names), len(who), len(lines)-1, len(methods))
	}
	for _, line := range lines[1:] {
		name, row, _ := strings.Cut(line, "|")
		name = strings.TrimSpace(name)
		call := methods[name]
		if call == nil {
			t.Fatalf("no method %q", name)
		}
		for i, want := range strings.Fields(row) {
			if strings.Contains(name, "third") || strings.HasPrefix(name, "delete ") || name == "tag" || name == "alias" {
				third = w.device(w.a, api.RegisterRequest{Alias: "t", Tags: []herald.Tag{"t"}})
			}
			err := call(ctx, who[i])
			if code(err) != codes[want] {
				t.Errorf("%s as %s: got %v, want %q", name, names[i], err, codes[want])
			}
			if third.Device != "" {
				_ = w.s.Devices.Remove(ctx, w.masterA, third.Device)
				third = api.Principal{}
			}
		}
	}
}
