package livetest

import (
	"fmt"
	"strings"
)

// bodies is RFC 9112 sections 6 and 7: where a request ends.
func bodies() (list []Head) {
	const hello = "hello"
	list = []Head{
		post("a body", "Content-Length: 5\r\n", hello),
		post("an empty body", "Content-Length: 0\r\n", ""),
		post("no length", "", ""),
		post("a GET with a body", "Content-Length: 5\r\n", hello).as("GET"),
		post("a HEAD with a body", "Content-Length: 5\r\n", hello).as("HEAD"),
		post("a body that is cut", "Content-Length: 5000\r\n", hello).unfinished(),
		post("a body over HTTP/1.0", "Content-Length: 5\r\n", hello).version("1.0"),
		post("a length with blanks", "Content-Length: \t5 \r\n", hello),
		post("a length with zeros", "Content-Length: 0005\r\n", hello),
		post("a body that looks like a request", fmt.Sprintf("Content-Length: %d\r\n", len(hidden)), hidden),
		post("a length twice", "Content-Length: 5\r\nContent-Length: 5\r\n", hello).mayRefuse(),
		post("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", hello).refuse(),
		post("two lengths, of which one is zero", fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n", len(hidden)), hidden).refuse(),
		post("a length in a list", "Content-Length: 5, 5\r\n", hello).mayRefuse(),
		post("two lengths in a list", "Content-Length: 5, 6\r\n", hello).refuse(),
		post("a chunked body", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
		post("a chunked body in capitals", "TRANSFER-ENCODING: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"),
		post("a chunked body over HTTP/1.0", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n").version("1.0").mayRefuse(),
		post("a chunked body with a length", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n").mayRefuse(),
		post("a chunked body with a length over HTTP/1.0", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n").version("1.0").mayRefuse(),
		post("smuggling by a length and chunks", fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", 5+len(hidden)), "0\r\n\r\n"),
		post("smuggling by chunks and a length", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)).mayRefuse(),
	}
	for _, v := range []string{"+5", "-1", "-0", "0x5", "5a", "5.0", "5e0", "5 5", "5;x", "\"5\"", "", "9223372036854775808", "18446744073709551616", "99999999999999999999999", "\x0b5", "٥"} {
		list = append(list, post(fmt.Sprintf("a length of %q", v), "Content-Length: "+v+"\r\n", hello).refuse())
	}
	for _, v := range []string{"identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked, identity", "xchunked", "chunked;q=1",
		"\"chunked\"", "chunke", "chunked\x00", "\x0bchunked", "chunked\x0b", "\xa0chunked", ", chunked", "chunked,", ""} {
		list = append(list, post(fmt.Sprintf("a coding of %q", v), "Transfer-Encoding: "+v+"\r\n", "0\r\n\r\n").refuse(),
			post(fmt.Sprintf("a coding of %q and a length", v), fmt.Sprintf("Transfer-Encoding: %s\r\nContent-Length: %d\r\n", v, len(hidden)), hidden).refuse())
	}
	list = append(list,
		post("two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n").refuse(),
		post("two codings, of which one is nothing", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n").refuse(),
		post("a coding with a blank before its colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n").refuse(),
		post("a folded coding", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n").mayRefuse(),
		post("a coding in a folded field", "X-Field: 1\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", hello).mayRefuse(),
		post("a coding behind a line feed", "X-Field: 1\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n").mayRefuse(),
		post("a coding behind a carriage return", "X-Field: 1\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n").refuse(),
	)
	return append(list, chunks()...)
}

// chunks is RFC 9112 section 7.1. The handler gets what came until a chunk is
// wrong, and the connection does not go on.
func chunks() (list []Head) {
	for _, c := range []struct {
		name, body string
		may        bool
	}{
		{"two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", false},
		{"a size in capitals", "A\r\nhellohello\r\n0\r\n\r\n", false},
		{"a size with zeros", "0005\r\nhello\r\n000\r\n\r\n", false},
		{"a size with very many zeros", strings.Repeat("0", 40) + "5\r\nhello\r\n0\r\n\r\n", true},
		{"an extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", true},
		{"a quoted extension", "5;a=\"b\"\r\nhello\r\n0\r\n\r\n", true},
		{"an extension with a line feed", "5;a\nb\r\nhello\r\n0\r\n\r\n", true},
		{"an extension of 8 KiB", "5;" + strings.Repeat("a", 8<<10) + "\r\nhello\r\n0\r\n\r\n", true},
		{"a blank after the size", "5 \r\nhello\r\n0\r\n\r\n", true},
		{"a blank before the size", " 5\r\nhello\r\n0\r\n\r\n", true},
		{"no size", "\r\nhello\r\n0\r\n\r\n", false},
		{"a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n", false},
		{"a size with a sign", "+5\r\nhello\r\n0\r\n\r\n", false},
		{"a size below zero", "-5\r\nhello\r\n0\r\n\r\n", false},
		{"a size that is no number", "five\r\nhello\r\n0\r\n\r\n", false},
		{"a size of 2^64", "10000000000000000\r\nhello\r\n0\r\n\r\n", false},
		{"a size of 2^64 and 5", "10000000000000005\r\nhello\r\n0\r\n\r\n", false},
		{"a size that is too small", "4\r\nhello\r\n0\r\n\r\n", false},
		{"a size that is too large", "6\r\nhello\r\n0\r\n\r\n", false},
		{"no end of line after a chunk", "5\r\nhello0\r\n\r\n", false},
		{"a line feed after a size", "5\nhello\r\n0\r\n\r\n", true},
		{"a line feed after a chunk", "5\r\nhello\n0\r\n\r\n", true},
		{"a carriage return after a size", "5\rhello\r\n0\r\n\r\n", false},
		{"no last chunk", "5\r\nhello\r\n", false},
		{"a last chunk without an empty line", "0\r\nX: 1\r\n", false},
		{"a last chunk that ends with a line feed", "0\r\n\n", true},
		{"a trailer", "5\r\nhello\r\n0\r\nX-Field: 1\r\n\r\n", false},
		{"a trailer that counts", "0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nHost: other.test\r\n\r\n", true},
		{"a trailer that is none", "0\r\nX Field: 1\r\n\r\n", true},
		{"a trailer of 60 KiB", "0\r\nX-Field: " + strings.Repeat("a", 60<<10) + "\r\n\r\n", true},
		{"a chunk that looks like a request", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden), false},
	} {
		h := post("chunks: "+c.name, "Transfer-Encoding: chunked\r\n", c.body)
		h.MayRefuse = c.may
		list = append(list, h)
	}
	return list
}

// connections is RFC 9112 section 9, and what asks for more than an answer.
func connections() []Head {
	return []Head{
		get("close", "Connection: close\r\n"),
		get("close in capitals", "Connection: CLOSE\r\n"),
		get("close in a list", "Connection: x, close\r\n"),
		get("close, then keep-alive", "Connection: close\r\nConnection: keep-alive\r\n"),
		get("keep-alive", "Connection: keep-alive\r\n"),
		get("keep-alive over HTTP/1.0", "Connection: keep-alive\r\n").version("1.0"),
		get("a connection of nothing", "Connection: ,,\r\n"),
		get("two requests", "").then(get("", "").Raw),
		get("two requests, the second without a host", "").then("GET {target} HTTP/1.1\r\n\r\n"),
		get("an empty line between two requests", "").then("\r\n" + get("", "").Raw).mayRefuse(),
		post("100-continue with its body", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"),
		post("100-continue without a body", "Expect: 100-continue\r\nContent-Length: 0\r\n", ""),
		post("100-continue over HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello").version("1.0"),
		post("another expectation", "Expect: 200-ok\r\nContent-Length: 5\r\n", "hello").refuse(),
		get("an upgrade to HTTP/2", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
		get("an upgrade to something", "Connection: Upgrade\r\nUpgrade: something/1\r\n"),
		get("an upgrade without Connection", "Upgrade: websocket\r\n"),
		post("an upgrade with a body", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", "hello").as("GET"),
		post("an upgrade with chunks", "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n").as("GET"),
		post("an upgrade with a request for its body", fmt.Sprintf("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n", len(hidden)), hidden).as("GET"),
	}
}

// as gives the request another method.
func (h Head) as(method string) Head {
	h.Raw = strings.Replace(h.Raw, "POST", method, 1)
	return h
}

// unfinished says that there has to be more.
func (h Head) unfinished() Head {
	h.Unfinished = true
	return h
}

// version gives it another version.
func (h Head) version(v string) Head {
	h.Raw = strings.Replace(h.Raw, "HTTP/1.1", "HTTP/"+v, 1)
	return h
}

// then puts more behind it.
func (h Head) then(raw string) Head {
	h.Raw += raw
	return h
}
