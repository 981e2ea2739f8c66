package livetest

import (
	"fmt"
	"slices"
	"strings"
)

// Heads is the table of requests: what smuggling, sloppy clients and broken
// proxies send, beside what is in order.
func Heads() []Head { return slices.Concat(requestLines(), fieldLines(), bodies(), connections()) }

// get is a request without a body whose fields follow those that it must have.
func get(name, extra string) Head {
	return Head{Name: name, Raw: "GET {target} HTTP/1.1\r\nHost: herald.test\r\n{fields}" + extra + "\r\n"}
}

// post is one with a body; extra are its fields.
func post(name, extra, body string) Head {
	return Head{Name: name, Raw: "POST {target} HTTP/1.1\r\nHost: herald.test\r\n{fields}" + extra + "\r\n" + body}
}

// line is a request with another first line.
func line(name, first string) Head {
	return Head{Name: name, Raw: first + "\r\nHost: herald.test\r\n{fields}\r\n"}
}

func (h Head) refuse() Head    { h.Refuse = true; return h }
func (h Head) mayRefuse() Head { h.MayRefuse = true; return h }

// hidden is a request that nobody may see.
const hidden = "GET " + smuggled + " HTTP/1.1\r\nHost: herald.test\r\n\r\n"

// requestLines is RFC 9112 section 3.
func requestLines() []Head {
	list := []Head{
		get("a plain request", ""),
		line("another method", "PUT {target} HTTP/1.1"),
		line("HEAD", "HEAD {target} HTTP/1.1"),
		line("OPTIONS", "OPTIONS {target} HTTP/1.1"),
		line("TRACE", "TRACE {target} HTTP/1.1"),
		line("a method in lower case", "get {target} HTTP/1.1"),
		line("a method that nobody knows", "FROB {target} HTTP/1.1"),
		line("a method of 200 letters", strings.Repeat("M", 200)+" {target} HTTP/1.1"),
		line("a method that is no token", "GE(T {target} HTTP/1.1").refuse(),
		line("a method with a colon", "GET: {target} HTTP/1.1").refuse(),
		line("no method", " {target} HTTP/1.1").refuse(),
		line("no target", "GET HTTP/1.1").refuse(),
		line("an empty target", "GET  HTTP/1.1").refuse(),
		line("two spaces before the target", "GET  {target} HTTP/1.1").refuse(),
		line("two spaces after the target", "GET {target}  HTTP/1.1").refuse(),
		line("a tab instead of a space", "GET\t{target}\tHTTP/1.1").refuse(),
		line("a space before the method", " GET {target} HTTP/1.1").refuse(),
		line("a space after the version", "GET {target} HTTP/1.1 ").refuse(),
		line("no version", "GET {target}").refuse(),
		line("a space in the target", "GET {target}?a b HTTP/1.1").refuse(),
		line("HTTP/1.0", "GET {target} HTTP/1.0"),
		line("HTTP/1.2", "GET {target} HTTP/1.2").mayRefuse(),
		line("HTTP/1.10", "GET {target} HTTP/1.10").refuse(),
		line("HTTP/01.1", "GET {target} HTTP/01.1").refuse(),
		line("HTTP/0.9", "GET {target} HTTP/0.9").refuse(),
		line("HTTP/2.0", "GET {target} HTTP/2.0").refuse(),
		line("HTTP/3.0", "GET {target} HTTP/3.0").refuse(),
		line("a version in lower case", "GET {target} http/1.1").refuse(),
		line("a version with more behind it", "GET {target} HTTP/1.1x").refuse(),
		line("a version without a minor one", "GET {target} HTTP/1").refuse(),
		line("another protocol", "GET {target} RTSP/1.0").refuse(),
		{Name: "the preface of HTTP/2", Raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refuse: true},
		{Name: "the first bytes of TLS", Raw: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Refuse: true},
		{Name: "noise", Raw: strings.Repeat("\x00\xff\x7f\r", 50) + "\n\r\n", Refuse: true},
		{Name: "an empty line first", Raw: "\r\n" + get("", "").Raw, MayRefuse: true},
		{Name: "empty lines first", Raw: "\r\n\r\n\r\n" + get("", "").Raw, MayRefuse: true},
		{Name: "a space line first", Raw: " \r\n" + get("", "").Raw, Refuse: true},
		{Name: "line feeds alone", Raw: "GET {target} HTTP/1.1\nHost: herald.test\n\n", MayRefuse: true},
		{Name: "a line feed alone after the first line", Raw: "GET {target} HTTP/1.1\nHost: herald.test\r\n{fields}\r\n", MayRefuse: true},
		{Name: "carriage returns alone", Raw: "GET {target} HTTP/1.1\rHost: herald.test\r\r", Refuse: true},
		{Name: "two carriage returns", Raw: "GET {target} HTTP/1.1\r\r\nHost: herald.test\r\n\r\n", Refuse: true},
		{Name: "the head ends without an empty line", Raw: "GET {target} HTTP/1.1\r\nHost: herald.test\r\n"},

		line("a zero byte in the target", "GET {target}?\x00 HTTP/1.1").refuse(),
		line("a control character in the target", "GET {target}?\x01 HTTP/1.1").refuse(),
		line("DEL in the target", "GET {target}?\x7f HTTP/1.1").refuse(),
		line("a carriage return in the target", "GET {target}?a\rb HTTP/1.1").refuse(),
		line("bytes past ASCII in the target", "GET {target}?\xc3\xbc\xff HTTP/1.1").mayRefuse(),
		line("a fragment", "GET {target}#part HTTP/1.1").mayRefuse(),
		line("an absolute target", "GET http://herald.test{target} HTTP/1.1"),
		line("an absolute target of another host", "GET http://other.test{target} HTTP/1.1"),
		line("an absolute target with a user", "GET http://user:word@herald.test{target} HTTP/1.1"),
		line("an absolute target over TLS", "GET https://herald.test{target} HTTP/1.1"),
		line("an absolute target without a host", "GET http://{target} HTTP/1.1"),
		line("an absolute target in capitals", "GET HTTP://HERALD.TEST{target} HTTP/1.1"),
		line("an absolute target with a bad port", "GET http://herald.test:x{target} HTTP/1.1").refuse(),
		line("an absolute target with a bad address", "GET http://[::1{target} HTTP/1.1").refuse(),
		line("another scheme", "GET ftp://herald.test{target} HTTP/1.1"),
		line("a script", "GET javascript:{target} HTTP/1.1"),
		line("a target without a slash", "GET x{target} HTTP/1.1").refuse(),
		line("a host as the target", "GET herald.test:80 HTTP/1.1"),
		line("an asterisk", "OPTIONS * HTTP/1.1"),
		line("an asterisk of a GET", "GET * HTTP/1.1"),
		line("CONNECT", "CONNECT herald.test:443 HTTP/1.1"),
		line("CONNECT to a path", "CONNECT {target} HTTP/1.1"),
		line("two slashes", "GET /{target} HTTP/1.1"),
		line("a path with dots", "GET /x/..{target} HTTP/1.1"),
		line("a path with a dot", "GET /.{target} HTTP/1.1"),
		line("encoded dots", "GET /x/%2e%2e{target} HTTP/1.1"),
		line("an encoded slash", "GET /%2f{target} HTTP/1.1"),
		line("an encoded zero byte", "GET /%00{target} HTTP/1.1"),
		line("an encoded end of line", "GET /%0d%0a{target} HTTP/1.1"),
		line("a bad encoding", "GET /%zz{target} HTTP/1.1").refuse(),
		line("half an encoding", "GET /%2 HTTP/1.1").refuse(),
		line("a percent sign", "GET /% HTTP/1.1").refuse(),
		line("a bad encoding in the query", "GET "+echoPath+"?%zz HTTP/1.1"),
		line("a semicolon in the query", "GET "+echoPath+"?a;b HTTP/1.1"),
		line("a target of 4 KiB", "GET "+echoPath+"?"+strings.Repeat("a", 4<<10)+" HTTP/1.1"),
		line("a target of 40 KiB", "GET "+echoPath+"?"+strings.Repeat("a", 40<<10)+" HTTP/1.1").refuse(),
		line("a path that is not there", "GET /none HTTP/1.1"),
	}
	return list
}

// fieldLines is RFC 9112 section 5, and Host, section 3.2.
func fieldLines() (list []Head) {
	host := func(name, lines string) Head {
		return Head{Name: name, Raw: "GET {target} HTTP/1.1\r\n" + lines + "{fields}\r\n"}
	}
	list = []Head{
		host("no host", "").refuse(),
		host("two hosts", "Host: herald.test\r\nHost: herald.test\r\n").refuse(),
		host("two other hosts", "Host: herald.test\r\nHost: other.test\r\n").refuse(),
		host("hosts in a list", "Host: herald.test, other.test\r\n").mayRefuse(),
		host("an empty host", "Host:\r\n"),
		host("a host with a port", "Host: herald.test:7700\r\n"),
		host("a host with blanks around it", "Host:  \t herald.test \t\r\n"),
		host("a host with a blank in it", "Host: herald test\r\n").refuse(),
		host("a host with a slash", "Host: herald.test/x\r\n").mayRefuse(),
		host("a host with an at sign", "Host: user@herald.test\r\n").mayRefuse(),
		host("a host with a quote", "Host: herald\".test\r\n").mayRefuse(),
		host("a host past ASCII", "Host: h\xc3\xbc.test\r\n").mayRefuse(),
		host("a host with a zero byte", "Host: herald\x00.test\r\n").refuse(),
		host("an address of IPv6", "Host: [::1]:7700\r\n"),
		host("half an address of IPv6", "Host: [::1\r\n").mayRefuse(),
		host("a host in capitals", "HOST: HERALD.TEST\r\n"),
		host("a host of 5 KiB", "Host: "+strings.Repeat("a", 5<<10)+"\r\n"),
		{Name: "no host over HTTP/1.0", Raw: "GET {target} HTTP/1.0\r\n{fields}\r\n"},
		{Name: "two hosts over HTTP/1.0", Raw: "GET {target} HTTP/1.0\r\nHost: a\r\nHost: b\r\n{fields}\r\n", Refuse: true},
		{Name: "no fields", Raw: "GET {target} HTTP/1.1\r\n\r\n", Refuse: true},
		{Name: "a blank before the first field", Raw: "GET {target} HTTP/1.1\r\n Host: herald.test\r\n\r\n", Refuse: true},
		{Name: "a blank instead of the first field", Raw: "GET {target} HTTP/1.1\r\n \r\nHost: herald.test\r\n\r\n", Refuse: true},

		get("a field", "X-Field: 1\r\n"),
		get("a field twice", "X-Field: 1\r\nx-field: 2\r\n"),
		get("a field without a value", "X-Field:\r\n"),
		get("a field without a blank", "X-Field:1\r\n"),
		get("a field with blanks around it", "X-Field: \t 1 \t \r\n"),
		get("a blank before the colon", "X-Field : 1\r\n").refuse(),
		get("a tab before the colon", "X-Field\t: 1\r\n").refuse(),
		get("a blank before the colon of what counts", "Content-Length : 5\r\n").refuse(),
		get("no colon", "X-Field\r\n").refuse(),
		get("no name", ": 1\r\n").refuse(),
		get("a name with a blank", "X Field: 1\r\n").refuse(),
		get("a name that is no token", "X(Field): 1\r\n").refuse(),
		get("a name with a zero byte", "X\x00Field: 1\r\n").refuse(),
		get("a name past ASCII", "X-F\xc3\xbceld: 1\r\n").refuse(),
		get("a name with all that a token may have", "!#$%&'*+-.^_`|~09azAZ: 1\r\n"),
		get("a folded field", "X-Field: 1\r\n 2\r\n").mayRefuse(),
		get("a field folded with a tab", "X-Field: 1\r\n\t2\r\n").mayRefuse(),
		get("a folded field that looks like another", "X-Field: 1\r\n Content-Length: 5\r\n").mayRefuse(),
		get("an empty fold", "X-Field: 1\r\n \r\n").mayRefuse(),
		get("a value with a zero byte", "X-Field: a\x00b\r\n").refuse(),
		get("a value with a control character", "X-Field: a\x01b\r\n").refuse(),
		get("a value with DEL", "X-Field: a\x7fb\r\n").refuse(),
		get("a value with a tab", "X-Field: a\tb\r\n"),
		get("a value past ASCII", "X-Field: \xc3\xbc\xff\r\n"),
		get("a carriage return in a value", "X-Field: a\rb\r\n").refuse(),
		get("a carriage return before the end of a line", "X-Field: a\r\r\n").mayRefuse(),
		get("a line feed alone after a field", "X-Field: 1\n").mayRefuse(),
		get("a line feed alone, then a field that counts", "X-Field: 1\nX-Other: 2\r\n").mayRefuse(),
		{Name: "a line feed alone at the end of the head", Raw: "GET {target} HTTP/1.1\r\nHost: herald.test\r\n{fields}\n", MayRefuse: true},
		{Name: "a field behind an end of line that is none", Raw: "GET {target} HTTP/1.1\r\nHost: herald.test\r\n{fields}X-Field: 1\r\r\nX: 2\r\n\r\n", MayRefuse: true},
		get("a hundred fields", strings.Repeat("X-Field: 1\r\n", 100)),
		get("a field of 8 KiB", "X-Large: "+strings.Repeat("a", 8<<10)+"\r\n"),
		get("a field of 40 KiB", "X-Large: "+strings.Repeat("a", 40<<10)+"\r\n").refuse(),
		get("fields of 60 KiB", strings.Repeat("X-Large: "+strings.Repeat("a", 100)+"\r\n", 600)).refuse(),
		get("a name of 40 KiB", strings.Repeat("a", 40<<10)+": 1\r\n").refuse(),
		get("a field that does not end", "X-Large: "+strings.Repeat("a", 60<<10)).refuse(),
	}
	for _, sep := range []string{"\v", "\f", "\xa0", "\x85", "\u2028"} {
		list = append(list, get(fmt.Sprintf("%q around a value", sep), "X-Field: "+sep+"1"+sep+"\r\n").mayRefuse())
	}
	return list
}
