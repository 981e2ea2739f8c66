package smpp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// units are units with their octets, laid out by hand after sections 3.2 and 4.
var units = []struct {
	name, hex string
	pdu       PDU
}{
	{
		"bind_transceiver", "0000002b 00000009 00000000 00000001 736d7070 00 73656372 00 54 00 34 01 01 3132 00 0005 0001 07 0006 0000",
		PDU{Command: BindTransceiver, Sequence: 1, Bind: &Bind{SystemID: "smpp", Password: "secr", SystemType: "T", Version: Version, TON: 1, NPI: 1, AddressRange: "12"}, TLVs: []TLV{{5, []byte{7}}, {6, []byte{}}}},
	},
	{"bind_transceiver_resp", "00000016 80000009 00000000 00000001 534d 5343 31 00", PDU{Command: BindTransceiver.Response(), Sequence: 1, Name: "SMSC1"}},
	{"bind that is refused", "00000010 80000009 0000000e 00000001", PDU{Command: BindTransceiver.Response(), Status: BadPassword, Sequence: 1}},
	{
		"submit_sm", "0000003b 00000004 00000000 00000002 00 05 00 416c6500 01 01 383631333800 40 00 00 00 30303030303030313030303030 30305200 01 00 08 00 02 4f60",
		PDU{Command: SubmitSM, Sequence: 2, Message: &Message{Source: Party{5, 0, "Ale"}, Dest: Party{1, 1, "86138"}, Class: ClassUDH, Validity: "000000010000000R", Registered: 1, Coding: CodingUCS2, Text: []byte{0x4f, 0x60}}},
	},
	{"submit_sm_resp", "00000014 80000004 00000000 00000002 616263 00", PDU{Command: SubmitSM.Response(), Sequence: 2, Name: "abc"}},
	{"submit_sm_resp without a name", "00000011 80000004 00000000 00000002 00", PDU{Command: SubmitSM.Response(), Sequence: 2}},
	{"throttled", "00000010 80000004 00000058 00000002", PDU{Command: SubmitSM.Response(), Status: Throttled, Sequence: 2}},
	{
		"deliver_sm", "00000032 00000005 00000000 00000003 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00 00 00 0424 0002 6869 0427 0001 02 001e 0002 6100",
		PDU{Command: DeliverSM, Sequence: 3, Message: &Message{Class: ClassReceipt, Text: []byte{}}, TLVs: []TLV{{TagMessagePayload, []byte("hi")}, {TagMessageState, []byte{2}}, {TagReceiptedID, []byte("a\x00")}}},
	},
	{"enquire_link", "00000010 00000015 00000000 00000004", PDU{Command: EnquireLink, Sequence: 4}},
	{"enquire_link_resp", "00000010 80000015 00000000 00000004", PDU{Command: EnquireLink.Response(), Sequence: 4}},
	{"unbind", "00000010 00000006 00000000 00000005", PDU{Command: Unbind, Sequence: 5}},
	{"generic_nack", "00000010 80000000 00000003 00000006", PDU{Command: GenericNack, Status: BadCommand, Sequence: 6}},
}

func TestUnits(t *testing.T) {
	for _, row := range units {
		t.Run(row.name, func(t *testing.T) {
			want := octets(t, row.hex)
			got, err := row.pdu.Append([]byte("before"))
			if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("written as %x, %v; want %x", got, err, want)
			}
			p, err := Read(iotest.OneByteReader(bytes.NewReader(want)))
			if err != nil || !reflect.DeepEqual(*p, row.pdu) {
				t.Errorf("read as %+v, %v", p, err)
			}
		})
	}
}

func TestBadUnits(t *testing.T) {
	for _, row := range []struct {
		name, hex string
		status    Status // 0: nothing more can be read
		why       string
	}{
		{"too small", "0000000f 00000015 00000000 000000", 0, "impossible"},
		{"too large", "00004001 00000015 00000000 00000001", 0, "impossible"},
		{"HTTP", "48545450 2f312e31 20343030 20426164", 0, "impossible"},
		{"unknown command", "00000010 00000103 00000000 00000001", BadCommand, "command 0x00000103: is not known"},
		{"command 0", "00000010 00000000 00000000 00000001", BadCommand, "not known"},
		{"response to nothing known", "00000010 80000103 00000000 00000001", BadCommand, "not known"},
		{"bind without an end", "00000014 00000009 00000000 00000001 61616161", BadCommandLength, "bind_transceiver: system_id does not end within 65"},
		{"bind that ends early", "00000014 00000009 00000000 00000001 61 00 62 00", BadCommandLength, "system_type"},
		{"name that is too long", "00000059 80000004 00000000 00000001" + strings.Repeat("61", 72) + "00", BadCommandLength, "within 65"},
		{"text that is cut off", "00000023 00000005 00000000 00000001 00 0000 00 0000 00 00 00 00 00 00 00 00 00 00 05 6162", BadMessageLength, "of 5 octets has 2"},
		{"text of 255", "00000120 00000005 00000000 00000001 00 0000 00 0000 00 00 00 00 00 00 00 00 00 00 ff" + strings.Repeat("61", 255), BadMessageLength, "255"},
		{"half a parameter", "00000013 00000015 00000000 00000001 000000", BadTLVs, "cut off"},
		{"parameter that is cut off", "00000015 00000015 00000000 00000001 0005 0002 01", BadTLVs, "0x0005 of 2 octets has 1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := octets(t, row.hex)
			r := io.MultiReader(bytes.NewReader(b), bytes.NewReader(octets(t, units[8].hex)))
			_, err := Read(r)
			if err == nil || !strings.Contains(err.Error(), row.why) {
				t.Fatalf("got %v, want %q", err, row.why)
			}
			var bad *Malformed
			if row.status == 0 {
				if !errors.Is(err, ErrFrame) {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.As(err, &bad) || bad.Status != row.status || bad.Sequence != 1 {
				t.Errorf("got %+v, want %s", err, row.status)
			}
			if p, err := Read(r); err != nil || p.Command != EnquireLink {
				t.Errorf("after it %v, %v", p, err)
			}
		})
	}
}

func TestCutOff(t *testing.T) {
	b := octets(t, units[3].hex)
	for n := range b {
		_, err := Read(bytes.NewReader(b[:n]))
		if want := io.ErrUnexpectedEOF; n == 0 && !errors.Is(err, io.EOF) || n > 0 && !errors.Is(err, want) {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	long := strings.Repeat("x", 70)
	for name, p := range map[string]PDU{
		"system ID":        {Command: BindTransceiver, Bind: &Bind{SystemID: long}},
		"zero in password": {Command: BindTransmitter, Bind: &Bind{Password: "a\x00b"}},
		"address":          {Command: SubmitSM, Message: &Message{Dest: Party{Address: long}}},
		"text":             {Command: SubmitSM, Message: &Message{Text: make([]byte, 255)}},
		"no bind":          {Command: BindReceiver},
		"no message":       {Command: SubmitSM},
		"parameter":        {Command: EnquireLink, TLVs: []TLV{{1, make([]byte, 1<<16)}}},
		"size":             {Command: EnquireLink, TLVs: []TLV{{1, make([]byte, MaxSize)}}},
		"name":             {Command: SubmitSM.Response(), Name: long},
	} {
		if b, err := p.Append([]byte("x")); err == nil || string(b) != "x" {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{
		"submit_sm": SubmitSM, "submit_sm_resp": SubmitSM.Response(), "generic_nack": GenericNack, "command 0x80000103": Command(0x103).Response(),
		"bind_receiver": BindReceiver, "bind_transmitter_resp": BindTransmitter.Response(), "unbind": Unbind, "deliver_sm": DeliverSM,
		"ESME_RTHROTTLED 0x58": Throttled, "0x400": Status(0x400), "ESME_ROK 0x00": OK, "ESME_RINVBNDSTS 0x04": BadBindState,
	} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for s := range Status(0x100) { // no two have one name
		for other := range s {
			if s.name() != "" && s.name() == other.name() {
				t.Errorf("%s and %s", s, other)
			}
		}
	}
	if said := fmt.Sprintf("%v %+v %#v", &Bind{Password: "secret"}, &Bind{Password: "secret"}, &Bind{Password: "secret"}); strings.Contains(said, "secret") {
		t.Errorf("a password is said: %s", said)
	}
	if p := (&PDU{Command: EnquireLink, Sequence: 7}).Respond(OK); p.Command != EnquireLink.Response() || p.Sequence != 7 {
		t.Errorf("%+v", p)
	}
}

func TestReceipt(t *testing.T) {
	const usual = "id:7f3a sub:001 dlvrd:001 submit date:2611220800 done date:2611220801 stat:DELIVRD err:000 text:hello"
	for _, row := range []struct {
		name  string
		class byte
		text  string
		tlvs  []TLV
		want  Receipt
	}{
		{"usual", 4, usual, nil, Receipt{"7f3a", Delivered, "000"}},
		{"other cases, seconds, no text", 4, "ID:7 Sub:1 Submit Date:261122080000 STAT:UNDELIV ERR:00B", nil, Receipt{"7", Undeliverable, "00B"}},
		{"long names", 4, "id:7 stat:DELIVERED", nil, Receipt{"7", Delivered, ""}},
		{"a text that looks like a receipt", 4, "id:7 stat:EXPIRED err:4 Text:id:8 stat:DELIVRD", nil, Receipt{"7", Expired, "4"}},
		{"parameters count", 4, usual, []TLV{{TagReceiptedID, []byte("x\x00")}, {TagMessageState, []byte{5}}, {TagNetworkError, []byte{3, 1, 2}}}, Receipt{"x", Undeliverable, "258"}},
		{"parameters only", 4, "", []TLV{{TagReceiptedID, []byte("x")}, {TagMessageState, []byte{8}}}, Receipt{"x", Rejected, ""}},
		{"text in a parameter", 4, "", []TLV{{TagMessagePayload, []byte(usual)}}, Receipt{"7f3a", Delivered, "000"}},
		{"parameters that say nothing", 4, usual, []TLV{{TagReceiptedID, nil}, {TagMessageState, []byte{99}}, {TagNetworkError, []byte{1}}}, Receipt{"7f3a", Delivered, "000"}},
		{"no receipt", 0, usual, nil, Receipt{}},
		{"an intermediate notification", 0x20, usual, nil, Receipt{}},
		{"no ID", 4, "stat:DELIVRD", nil, Receipt{}},
		{"no state", 4, "id:7", nil, Receipt{}},
		{"a state that nobody knows", 4, "id:7 stat:WHATEVR", nil, Receipt{}},
		{"an endless ID", 4, "id:" + strings.Repeat("7", 65) + " stat:DELIVRD", nil, Receipt{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, ok := ReadReceipt(&PDU{Command: DeliverSM, Message: &Message{Class: row.class, Text: []byte(row.text)}, TLVs: row.tlvs})
			if ok != (row.want != Receipt{}) || ok && got != row.want {
				t.Errorf("%+v, %v", got, ok)
			}
		})
	}
	for _, s := range []State{Enroute, Delivered, Expired, Deleted, Undeliverable, Accepted, Unknown, Rejected} {
		r := Receipt{"1", s, "001"}
		if got := readText(r.Text()); got != r {
			t.Errorf("%+v is read as %+v", r, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, row := range units {
		f.Add(octets(f, row.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrFrame) && !errors.As(err, new(*Malformed)) {
				t.Fatal(err)
			}
			return
		}
		again, err := p.Append(nil)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", p, err)
		}
		if q, err := Decode(again); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%+v became %+v, %v", p, q, err)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	f.Add("id:7f3a sub:001 stat:DELIVRD err:000 text:hello", []byte{2}, []byte("x\x00"))
	f.Add(" text:", []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, text string, state, id []byte) {
		r, ok := ReadReceipt(&PDU{Message: &Message{Class: ClassReceipt, Text: []byte(text)}, TLVs: []TLV{{TagMessageState, state}, {TagReceiptedID, id}}})
		if ok && (r.ID == "" || len(r.ID) > maxMessageID || stateNamed(string(r.State)) != r.State) {
			t.Fatalf("%+v", r)
		}
	})
}
