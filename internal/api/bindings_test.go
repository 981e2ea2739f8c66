package api_test

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

func bindings(alias string, ps ...api.Principal) (q api.AliasBindings) {
	for _, p := range ps {
		text := "null"
		if alias != "" {
			text = strconv.Quote(alias)
		}
		q.Bindings = append(q.Bindings, api.AliasBinding{RegistrationID: p.Device, Alias: []byte(text)})
	}
	return q
}

// What waits by an alias ends as rebound on the devices that lose it, and on
// no others; what waits otherwise stays.
func TestBindMany(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	anna := w.device(w.a, api.RegisterRequest{Alias: "anna"})
	second := w.device(w.a, api.RegisterRequest{Alias: "anna"})
	foreign := w.device(w.b, api.RegisterRequest{Alias: "anna"})
	send := func(audience string) herald.MessageID {
		return w.sent(w.masterA, `{"audience":`+audience+`,"data":1}`).ID
	}
	byAlias, mixed := send(`{"aliases":["anna"]}`), send(`{"or":[{"aliases":["anna"]},{"platforms":["other"]}]}`)
	plain := send(`{"registration_ids":["` + string(anna.Device) + `","` + string(second.Device) + `"]}`)
	all := send(`"all"`)
	w.settle()

	got, err := w.s.Devices.Bind(ctx, w.masterA, bindings("ben", anna, foreign))
	if err != nil || got.Bound != 1 || got.Unknown != 1 || got.Unchanged+got.Refused != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	state := func(id herald.MessageID, p api.Principal) herald.DeliveryState {
		tr, err := w.s.Messages.Trace(ctx, w.masterA, id, p.Device)
		w.must(err)
		return tr.State
	}
	for _, id := range []herald.MessageID{byAlias, mixed} {
		if a, b := state(id, anna), state(id, second); a != herald.StateRebound || b != herald.StatePending {
			t.Errorf("by alias: %s on the device that lost it, %s on the other", a, b)
		}
	}
	for _, id := range []herald.MessageID{plain, all} {
		if a := state(id, anna); a != herald.StatePending {
			t.Errorf("not by alias: %s", a)
		}
	}
	// The next push sees it; again it changes nothing.
	if n := *w.sent(w.masterA, `{"audience":{"aliases":["ben"]},"data":1}`).Target; n != 1 {
		t.Errorf("the next push finds %d devices", n)
	}
	got, err = w.s.Devices.Bind(ctx, w.masterA, bindings("ben", anna))
	if err != nil || got.Unchanged != 1 || got.Bound != 0 {
		t.Errorf("again: %+v, %v", got, err)
	}
	got, err = w.s.Devices.Bind(ctx, w.masterA, bindings("", anna, second))
	if err != nil || got.Bound != 2 {
		t.Errorf("unbound: %+v, %v", got, err)
	}
	if got := state(byAlias, second); got != herald.StateRebound {
		t.Errorf("after unbinding: %s", got)
	}
	for name, q := range map[string]api.AliasBindings{
		"nothing": {}, "a bad ID": {Bindings: []api.AliasBinding{{RegistrationID: "x"}}}, "a bad alias": bindings("a\tb", anna), "a number": {Bindings: []api.AliasBinding{{RegistrationID: anna.Device, Alias: []byte("7")}}},
		"no alias": {Bindings: []api.AliasBinding{{RegistrationID: anna.Device}}},
		"too many": {Bindings: make([]api.AliasBinding, api.MaxBindings+1)},
	} {
		if _, err := w.s.Devices.Bind(ctx, w.masterA, q); code(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.s.Devices.Bind(ctx, anna, bindings("ben", anna)); code(err) != herald.CodeForbidden {
		t.Errorf("by a device: %v", err)
	}
	if _, err := w.s.Devices.BindList(ctx, anna, strings.NewReader("")); code(err) != herald.CodeForbidden {
		t.Errorf("a list by a device: %v", err)
	}
}

// A crash between a change of aliases and what follows from it is put right by
// the next start, for what was evaluated before the change.
func TestBindInterrupted(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	anna := w.device(w.a, api.RegisterRequest{Alias: "anna"})
	ben := w.device(w.a, api.RegisterRequest{Alias: "ben"})
	var crowd []api.Principal
	for range herald.MaxDirect + 1 {
		crowd = append(crowd, w.device(w.a, api.RegisterRequest{Profile: api.Profile{Platform: "web"}}))
	}
	send := func(audience string) herald.MessageID {
		return w.sent(w.masterA, `{"audience":`+audience+`,"data":1}`).ID
	}
	both := send(`{"aliases":["anna","ben"]}`)
	group := send(`{"or":[{"aliases":["anna"]},{"platforms":["web"]}]}`)
	plain := send(`{"registration_ids":["` + string(anna.Device) + `"]}`)
	w.settle()
	bind := func(p api.Principal, alias herald.Alias) {
		b, err := w.registry.Bind(ctx, w.a, []record.Binding{{ID: p.Device, Alias: alias}}, true)
		w.must(err)
		if b.Pos == 0 {
			t.Fatal("nothing changed")
		}
	}
	bind(anna, "eve")
	later := send(`{"aliases":["eve"]}`)
	bind(crowd[0], "mob")
	w.settle()
	state := func(id herald.MessageID, p api.Principal) herald.DeliveryState {
		tr, err := w.s.Messages.Trace(ctx, w.masterA, id, p.Device)
		w.must(err)
		return tr.State
	}
	if got := state(both, anna); got != herald.StatePending {
		t.Fatalf("before the start it is %s", got)
	}
	for range 2 { // it may be done again
		w.must(w.s.Devices.FinishRebindings(ctx, w.a))
	}
	for _, x := range []struct {
		name string
		id   herald.MessageID
		p    api.Principal
		want herald.DeliveryState
	}{
		{"direct, rebound", both, anna, herald.StateRebound}, {"direct, another device", both, ben, herald.StatePending},
		{"group, rebound", group, anna, herald.StateRebound}, {"group, bound for the first time", group, crowd[0], herald.StateRebound},
		{"group, another device", group, crowd[1], herald.StatePending},
		{"not by alias", plain, anna, herald.StatePending}, {"evaluated later", later, anna, herald.StatePending},
	} {
		if got := state(x.id, x.p); got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
}

// A list of several slices, with lines that are refused.
func TestBindList(t *testing.T) {
	w := newWorld(t)
	anna, ben := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})
	var list strings.Builder
	list.WriteString("alias,registration_id\n")
	for i := range 2500 { // of several for one device the last counts
		fmt.Fprintf(&list, "anna-%d,%s\n", i, anna.Device)
	}
	for range 150 {
		list.WriteString("x,anna\n")
	}
	fmt.Fprintf(&list, "ben,%s\nnobody,00000000000000000000\n", ben.Device)
	got, err := w.s.Devices.BindList(t.Context(), w.masterA, strings.NewReader(list.String()))
	if err != nil || got.Bound != 2501 || got.Unknown != 1 || got.Refused != 150 || len(got.Errors) != 100 || got.Errors[0].Line != 2502 {
		t.Errorf("%+v, %v", got, err)
	}
	for alias, p := range map[herald.Alias]api.Principal{"anna-2499": anna, "ben": ben} {
		if v, err := w.s.Devices.Get(t.Context(), w.masterA, p.Device); err != nil || v.Alias != alias {
			t.Errorf("alias %q, %v; want %q", v.Alias, err, alias)
		}
	}
	if _, err := w.s.Devices.BindList(t.Context(), w.masterA, strings.NewReader("\n")); code(err) != herald.CodeInvalidRequest {
		t.Errorf("an empty list: %v", err)
	}
	long := strings.Repeat("x,y\n", registry.MaxFileLines+1)
	if _, err := w.s.Devices.BindList(t.Context(), w.masterA, strings.NewReader(long)); code(err) != herald.CodeTooLarge {
		t.Errorf("a list that is too long: %v", err)
	}
}

// One alias has at most 100 devices: what is bound by name is all or nothing,
// of a list the rest is done.
func TestBindFull(t *testing.T) {
	w := newWorld(t)
	var ps []api.Principal
	var m api.Members
	for range herald.MaxDevicesByAlias + 1 {
		ps = append(ps, w.device(w.a, api.RegisterRequest{}))
		m.Add = append(m.Add, ps[len(ps)-1].Device)
	}
	if _, err := w.s.Devices.ChangeAlias(t.Context(), w.masterA, "club", m); code(err) != herald.CodeLimitReached {
		t.Errorf("one too many: %v", err)
	}
	if _, err := w.s.Devices.Alias(t.Context(), w.masterA, "club"); code(err) != herald.CodeNotFound {
		t.Errorf("after the refusal: %v", err)
	}
	got, err := w.s.Devices.Bind(t.Context(), w.masterA, bindings("club", ps...))
	if err != nil || got.Bound != herald.MaxDevicesByAlias || got.Refused != 1 || got.Errors[0].Line != herald.MaxDevicesByAlias+1 {
		t.Errorf("%+v, %v", got, err)
	}
	// One that leaves makes room, also for a line before it.
	last := ps[herald.MaxDevicesByAlias]
	list := fmt.Sprintf("%s,club\n%s,\n", last.Device, ps[0].Device)
	got, err = w.s.Devices.BindList(t.Context(), w.masterA, strings.NewReader(list))
	if err != nil || got.Bound != 2 || got.Refused != 0 {
		t.Errorf("with room made by a later line: %+v, %v", got, err)
	}
}

// A list whose end does not come binds nothing.
func TestBindBrokenList(t *testing.T) {
	w := newWorld(t)
	anna := w.device(w.a, api.RegisterRequest{})
	cut := errors.New("cut")
	list := io.MultiReader(strings.NewReader(string(anna.Device)+",anna\n"), iotest.ErrReader(cut))
	if got, err := w.s.Devices.BindList(t.Context(), w.masterA, list); !errors.Is(err, cut) || got.Bound != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if v, err := w.s.Devices.Get(t.Context(), w.masterA, anna.Device); err != nil || v.Alias != "" {
		t.Errorf("alias %q, %v", v.Alias, err)
	}
}
