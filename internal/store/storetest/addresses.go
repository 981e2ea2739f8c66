package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// told shows addresses in short: kind/environment=token, with the reason of one
// that is not valid.
func told(list []record.Address) (out []string) {
	for _, a := range list {
		s := a.Kind + "/" + a.Environment + "=" + a.Token
		if a.Invalid.IsZero() != (a.Reason == "") {
			s += " half invalid"
		}
		if a.Reason != "" {
			s += " (" + a.Reason + ")"
		}
		out = append(out, s)
	}
	return out
}

func (f *fixture) addresses(app herald.AppKey, owner record.Owner, ord herald.Ordinal) []string {
	f.t.Helper()
	list, err := f.Addresses(f.ctx, app, owner, ord)
	f.must(err)
	for _, a := range list {
		if a.App != app || a.Owner != owner || a.Ord != ord {
			f.t.Errorf("among the addresses of %s %d is %+v", owner, ord, a)
		}
	}
	return told(list)
}

func (f *fixture) set(app herald.AppKey, owner record.Owner, ord herald.Ordinal, kind, environment, token string) {
	f.t.Helper()
	f.sleep(time.Second)
	f.must(f.SetAddress(f.ctx, record.Address{App: app, Owner: owner, Ord: ord, Kind: kind, Environment: environment, Token: token}))
}

func (f *fixture) kinds(app herald.AppKey, owner record.Owner) (out []string) {
	f.t.Helper()
	list, err := f.AddressKinds(f.ctx, app, owner)
	f.must(err)
	for _, k := range list {
		out = append(out, k.Kind+"/"+k.Environment)
	}
	return out
}

// testAddresses: a device has one valid address of each vendor, and some that
// were.
func testAddresses(t *testing.T, f *fixture) {
	d := f.register(appA, 1)
	refused(t, f.SetAddress(f.ctx, record.Address{App: appA, Owner: record.OwnerDevice, Ord: d.Ord + 1, Kind: "apns", Token: "x"}), herald.CodeNotFound)
	refused(t, f.SetAddress(f.ctx, record.Address{App: appA, Owner: record.OwnerRecipient, Ord: d.Ord, Kind: "phone", Token: "x"}), herald.CodeNotFound)
	refused(t, f.SetAddress(f.ctx, record.Address{App: "nobody", Owner: record.OwnerDevice, Kind: "apns", Token: "x"}), herald.CodeNotFound)
	same(t, "kinds of nobody", f.kinds(appA, record.OwnerDevice), []string(nil))

	f.set(appA, record.OwnerDevice, d.Ord, "apns", "sandbox", "one")
	f.set(appA, record.OwnerDevice, d.Ord, "fcm", "", "two")
	f.set(appA, record.OwnerDevice, d.Ord, "apns", "production", "three")
	same(t, "kinds", f.kinds(appA, record.OwnerDevice), []string{"apns/production", "fcm/"})
	want := []string{"apns/production=three", "fcm/=two", "apns/sandbox=one (replaced)"}
	same(t, "addresses", f.addresses(appA, record.OwnerDevice, d.Ord), want)
	f.restart()
	same(t, "addresses after a restart", f.addresses(appA, record.OwnerDevice, d.Ord), want)
	same(t, "kinds after a restart", f.kinds(appA, record.OwnerDevice), []string{"apns/production", "fcm/"})

	// The same again is what it was, with another time.
	f.set(appA, record.OwnerDevice, d.Ord, "fcm", "", "two")
	list, err := f.Addresses(f.ctx, appA, record.OwnerDevice, d.Ord)
	f.must(err)
	if a := list[0]; a.Kind != "fcm" || !a.Created.Equal(start.Add(2*time.Second)) || !a.Updated.Equal(f.clock()) || len(list) != 3 {
		t.Errorf("registered again it is %+v", list)
	}
	// One that was replaced is valid again.
	f.set(appA, record.OwnerDevice, d.Ord, "apns", "sandbox", "one")
	same(t, "kinds of one that came back", f.kinds(appA, record.OwnerDevice), []string{"apns/sandbox", "fcm/"})
	same(t, "one that came back", f.addresses(appA, record.OwnerDevice, d.Ord), []string{"apns/sandbox=one", "fcm/=two", "apns/production=three (replaced)"})

	f.sleep(time.Second)
	f.must(f.DeleteAddress(f.ctx, appA, record.OwnerDevice, d.Ord, "fcm"))
	refused(t, f.DeleteAddress(f.ctx, appA, record.OwnerDevice, d.Ord, "fcm"), herald.CodeNotFound)
	same(t, "kinds after one was taken away", f.kinds(appA, record.OwnerDevice), []string{"apns/sandbox"})
	if list := f.addresses(appA, record.OwnerDevice, d.Ord); !slices.Contains(list, "fcm/=two (removed)") {
		t.Errorf("after one was taken away: %q", list)
	}

	// Only the newest of those that are not valid stay, of each kind.
	for i := range 8 {
		f.set(appA, record.OwnerDevice, d.Ord, "apns", "sandbox", fmt.Sprint("next ", i))
	}
	want = []string{"apns/sandbox=next 7"}
	for i := 6; i >= 2; i-- {
		want = append(want, fmt.Sprintf("apns/sandbox=next %d (replaced)", i))
	}
	same(t, "after many changes", f.addresses(appA, record.OwnerDevice, d.Ord), append(want, "fcm/=two (removed)"))
	same(t, "kinds of recipients", f.kinds(appA, record.OwnerRecipient), []string(nil))
	same(t, "kinds of the other app", f.kinds(appB, record.OwnerDevice), []string(nil))
}

// testAddressesMove: an address leads to who registered it last, within an app.
func testAddressesMove(t *testing.T, f *fixture) {
	one, two, other := f.register(appA, 1), f.register(appA, 2), f.register(appB, 3)
	long := strings.Repeat("t", 4096)
	f.set(appA, record.OwnerDevice, one.Ord, "apns", "sandbox", long)
	f.set(appA, record.OwnerDevice, one.Ord, "fcm", "", "token")
	f.set(appB, record.OwnerDevice, other.Ord, "apns", "sandbox", long)
	f.set(appA, record.OwnerDevice, two.Ord, "apns", "sandbox", long)
	f.set(appA, record.OwnerDevice, two.Ord, "huawei", "", "token") // the same word of another vendor
	same(t, "the older owner", f.addresses(appA, record.OwnerDevice, one.Ord), []string{"fcm/=token", "apns/sandbox=" + long + " (moved)"})
	same(t, "the newer owner", f.addresses(appA, record.OwnerDevice, two.Ord), []string{"huawei/=token", "apns/sandbox=" + long})
	same(t, "in the other app", f.addresses(appB, record.OwnerDevice, other.Ord), []string{"apns/sandbox=" + long})
	f.set(appA, record.OwnerDevice, one.Ord, "apns", "sandbox", long)
	same(t, "taken back", f.addresses(appA, record.OwnerDevice, two.Ord), []string{"huawei/=token", "apns/sandbox=" + long + " (moved)"})

	for i, alias := range []herald.Alias{"anna", "ben"} {
		_, err := f.PutRecipient(f.ctx, appA, alias)
		f.must(err)
		o := herald.Ordinal(i)
		f.set(appA, record.OwnerRecipient, o, record.KindPhone, "", "+8613800138000")
		f.set(appA, record.OwnerRecipient, o, record.KindChat, "ops", "")
	}
	same(t, "who had a number", f.addresses(appA, record.OwnerRecipient, 0), []string{"chat/ops=", "phone/=+8613800138000 (moved)"})
	same(t, "who has the number", f.addresses(appA, record.OwnerRecipient, 1), []string{"chat/ops=", "phone/=+8613800138000"})
	same(t, "the device with that ordinal", f.addresses(appA, record.OwnerDevice, 0), []string{"apns/sandbox=" + long, "fcm/=token"})
	same(t, "kinds", f.kinds(appA, record.OwnerRecipient), []string{"chat/ops", "phone/"})
}

// testDeviceAddresses: addresses come and go with the registration and with
// changes of a device, in the same commit.
func testDeviceAddresses(t *testing.T, f *fixture) {
	with := func(list ...record.Address) func(*record.Registration) {
		return func(r *record.Registration) { r.Addresses = list }
	}
	d := f.register(appA, 1, with(record.Address{Kind: "apns", Environment: "sandbox", Token: "one"}, record.Address{Kind: "fcm", Token: "two"}))
	same(t, "kinds", f.kinds(appA, record.OwnerDevice), []string{"apns/sandbox", "fcm/"})
	same(t, "registered", f.addresses(appA, record.OwnerDevice, d.Ord), []string{"apns/sandbox=one", "fcm/=two"})
	f.sleep(time.Second)
	f.register(appA, 1)
	same(t, "registered again without addresses", f.addresses(appA, record.OwnerDevice, d.Ord), []string{"apns/sandbox=one", "fcm/=two"})
	f.register(appA, 1, with(record.Address{Kind: "apns", Environment: "production", Token: "three"}))
	same(t, "kinds then", f.kinds(appA, record.OwnerDevice), []string{"apns/production", "fcm/"})
	f.sleep(time.Second)
	_, err := f.UpdateDevice(f.ctx, appA, d.ID, record.DevicePatch{Addresses: []record.Address{{Kind: "fcm"}, {Kind: "huawei", Token: "four"}}})
	f.must(err)
	same(t, "changed", f.addresses(appA, record.OwnerDevice, d.Ord), []string{"huawei/=four", "apns/production=three", "apns/sandbox=one (replaced)", "fcm/=two (removed)"})
	same(t, "kinds at last", f.kinds(appA, record.OwnerDevice), []string{"apns/production", "huawei/"})

	// Of a device that is removed no token stays.
	other := f.register(appA, 2, with(record.Address{Kind: "apns", Environment: "production", Token: "five"}))
	_, err = f.RemoveDevice(f.ctx, appA, d.ID)
	f.must(err)
	list, err := f.Addresses(f.ctx, appA, record.OwnerDevice, d.Ord)
	f.must(err)
	for _, a := range list {
		if a.Token != "" || a.Invalid.IsZero() || (a.Kind == "huawei") != (a.Reason == "device removed") && a.Kind != "apns" {
			t.Errorf("of a device that was removed there is %+v", a)
		}
	}
	same(t, "of the other device", f.addresses(appA, record.OwnerDevice, other.Ord), []string{"apns/production=five"})
	same(t, "kinds without it", f.kinds(appA, record.OwnerDevice), []string{"apns/production"})
	refused(t, f.SetAddress(f.ctx, record.Address{App: appA, Owner: record.OwnerDevice, Ord: d.Ord, Kind: "apns", Token: "x"}), herald.CodeNotFound)
}

// testAddressesIn: those of a range are read in pages, and only valid ones of
// their kind and environment.
func testAddressesIn(t *testing.T, f *fixture) {
	const n = 12
	for i := range n {
		d := f.register(appA, i)
		f.set(appA, record.OwnerDevice, d.Ord, "apns", "sandbox", fmt.Sprint("sandbox ", i))
		f.set(appA, record.OwnerDevice, d.Ord, "fcm", "", fmt.Sprint("fcm ", i))
		if i%3 == 0 {
			f.set(appA, record.OwnerDevice, d.Ord, "apns", "production", fmt.Sprint("production ", i))
		}
	}
	read := func(kind, environment string, from, to herald.Ordinal, limit int) (out []string) {
		t.Helper()
		for {
			list, err := f.AddressesIn(f.ctx, appA, record.OwnerDevice, kind, environment, from, to, limit)
			f.must(err)
			for _, a := range list {
				if a.Kind != kind || a.Environment != environment || !a.Invalid.IsZero() || a.Created.IsZero() || a.Updated.IsZero() {
					t.Errorf("among %s/%s is %+v", kind, environment, a)
				}
				out = append(out, fmt.Sprint(a.Ord, " ", a.Token))
			}
			if len(list) < limit {
				return out
			}
			from = list[len(list)-1].Ord + 1
		}
	}
	for _, limit := range []int{1, 2, 3, 100} {
		same(t, fmt.Sprint("production by ", limit), read("apns", "production", 0, 9, limit), []string{"0 production 0", "3 production 3", "6 production 6", "9 production 9"})
		same(t, fmt.Sprint("sandbox by ", limit), read("apns", "sandbox", 2, 5, limit), []string{"2 sandbox 2", "4 sandbox 4", "5 sandbox 5"})
		same(t, fmt.Sprint("to the end by ", limit), read("fcm", "", 11, ^herald.Ordinal(0), limit), []string{"11 fcm 11"})
		same(t, fmt.Sprint("nothing by ", limit), read("fcm", "other", 0, n, limit), []string(nil))
	}
}

// testAddressInvalid: a vendor's word counts for the token that it was about, and
// only if that was not registered since.
func testAddressInvalid(t *testing.T, f *fixture) {
	d := f.register(appA, 1)
	f.set(appA, record.OwnerDevice, d.Ord, "apns", "sandbox", "one")
	sent := record.Address{App: appA, Owner: record.OwnerDevice, Ord: d.Ord, Kind: "apns", Environment: "sandbox", Token: "one"}
	first := f.clock()
	end := func(a record.Address, since time.Time) []string {
		t.Helper()
		f.must(f.InvalidateAddress(f.ctx, a, "Unregistered", f.clock(), since))
		return f.addresses(appA, record.OwnerDevice, d.Ord)
	}
	valid, invalid := []string{"apns/sandbox=one"}, []string{"apns/sandbox=one (Unregistered)"}
	for name, change := range map[string]func(*record.Address){
		"another token":       func(a *record.Address) { a.Token = "two" },
		"another environment": func(a *record.Address) { a.Environment = "production" },
		"another kind":        func(a *record.Address) { a.Kind = "fcm" },
		"another device":      func(a *record.Address) { a.Ord++ },
		"a recipient":         func(a *record.Address) { a.Owner = record.OwnerRecipient },
		"another app":         func(a *record.Address) { a.App = appB },
	} {
		other := sent
		change(&other)
		same(t, name, end(other, time.Time{}), valid)
	}
	same(t, "registered since", end(sent, first.Add(-time.Millisecond)), valid)
	same(t, "kinds", f.kinds(appA, record.OwnerDevice), []string{"apns/sandbox"})
	f.sleep(time.Minute)
	same(t, "not registered since", end(sent, first), invalid)
	same(t, "kinds when it is gone", f.kinds(appA, record.OwnerDevice), []string(nil))
	list, err := f.Addresses(f.ctx, appA, record.OwnerDevice, d.Ord)
	f.must(err)
	if at := list[0].Invalid; !at.Equal(f.clock()) {
		t.Errorf("it is invalid since %v", at)
	}
	f.sleep(time.Minute)
	f.must(f.InvalidateAddress(f.ctx, sent, "again", f.clock(), time.Time{}))
	same(t, "once more", f.addresses(appA, record.OwnerDevice, d.Ord), invalid)
	f.set(appA, record.OwnerDevice, d.Ord, "apns", "sandbox", "one")
	same(t, "registered anew", f.addresses(appA, record.OwnerDevice, d.Ord), valid)
	f.must(f.InvalidateAddress(f.ctx, sent, strings.Repeat("因", 100), f.clock(), time.Time{}))
	same(t, "a long reason", f.addresses(appA, record.OwnerDevice, d.Ord), []string{"apns/sandbox=one (" + strings.Repeat("因", 66) + ")"})
}

// testAddressErased: nothing stays of the addresses of who is erased.
func testAddressErased(t *testing.T, f *fixture) {
	d, left := f.register(appA, 1, withAlias("anna")), f.register(appA, 2, withAlias("ben"))
	for i, o := range []herald.Ordinal{d.Ord, left.Ord} {
		f.set(appA, record.OwnerDevice, o, "apns", "sandbox", fmt.Sprint("old ", i))
		f.set(appA, record.OwnerDevice, o, "apns", "sandbox", fmt.Sprint("new ", i))
		f.set(appA, record.OwnerRecipient, herald.Ordinal(i), record.KindPhone, "", fmt.Sprint("+861380013800", i))
	}
	e := record.Erasure{App: appA, Ord: d.Ord, ID: d.ID, Alias: "anna"}
	f.must(f.BeginErasure(f.ctx, e))
	_, err := f.RemoveDevice(f.ctx, appA, d.ID)
	f.must(err)
	e.Gone = true
	_, err = f.Erase(f.ctx, e)
	f.must(err)
	f.must(f.DeleteRecipient(f.ctx, appA, "ben")) // stays: it has a device
	f.restart()
	same(t, "of the device", f.addresses(appA, record.OwnerDevice, d.Ord), []string(nil))
	same(t, "of the person", f.addresses(appA, record.OwnerRecipient, 0), []string(nil))
	same(t, "of another device", f.addresses(appA, record.OwnerDevice, left.Ord), []string{"apns/sandbox=new 1", "apns/sandbox=old 1 (replaced)"})
	same(t, "of another person", f.addresses(appA, record.OwnerRecipient, 1), []string{"phone/=+8613800138001"})
	same(t, "kinds", append(f.kinds(appA, record.OwnerDevice), f.kinds(appA, record.OwnerRecipient)...), []string{"apns/sandbox", "phone/"})
	none := herald.Alias("")
	_, err = f.UpdateDevice(f.ctx, appA, left.ID, record.DevicePatch{Alias: &none})
	f.must(err)
	f.must(f.DeleteRecipient(f.ctx, appA, "ben"))
	same(t, "of a person who is gone", f.addresses(appA, record.OwnerRecipient, 1), []string(nil))
	same(t, "kinds of people", f.kinds(appA, record.OwnerRecipient), []string(nil))
}

// testAddressesTogether: however many register one token at once, one of them
// has it; and what is remembered of kinds is true when all of them are done.
func testAddressesTogether(t *testing.T, f *fixture) {
	const n = 16
	for i := range n {
		f.register(appA, i)
	}
	together(n, func(i int) {
		a := record.Address{App: appA, Owner: record.OwnerDevice, Ord: herald.Ordinal(i), Kind: "apns", Environment: "sandbox", Token: "one for all"}
		own := record.Address{App: appA, Owner: record.OwnerDevice, Ord: a.Ord, Kind: "fcm", Token: fmt.Sprint("own ", i)}
		for _, err := range []error{f.SetAddress(f.ctx, a), f.SetAddress(f.ctx, own)} {
			if err != nil {
				t.Error(err)
			}
		}
		if _, err := f.AddressKinds(f.ctx, appA, record.OwnerDevice); err != nil {
			t.Error(err)
		}
		if err := f.DeleteAddress(f.ctx, appA, record.OwnerDevice, a.Ord, "fcm"); err != nil {
			t.Error(err)
		}
	})
	list, err := f.AddressesIn(f.ctx, appA, record.OwnerDevice, "apns", "sandbox", 0, n, n)
	f.must(err)
	if len(list) != 1 {
		t.Errorf("%d devices have the token: %q", len(list), told(list))
	}
	same(t, "kinds", f.kinds(appA, record.OwnerDevice), []string{"apns/sandbox"})
}
