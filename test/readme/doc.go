// Package readme runs the code of README.md and of the guides, so that nobody
// copies a command that does not work. Every fenced block in a language that a reader could run
// (sh, bash, console, js, go, php, html, json, yaml) bears a mark in the line above:
//
//	<!-- run: NAME [OPTION...] -->      this block is run
//	<!-- output: NAME -->               this block (of any language, best: text)
//	                                    is what the block NAME prints
//
// A block of such a language without a mark fails the test. NAME is free and
// unique. Blocks are run from top to bottom, in one empty folder, like a
// reader would do it. The options:
//
//	background         the block is started and goes on until the end of the
//	                   test, like a server or herald listen in a second terminal
//	until="TEXT"       with background: wait until it has printed TEXT
//	as=KIND            how to run it, where the language does not say it:
//	    sh             (sh, bash) with bash, which stops at the first error
//	    console        (console) the lines after "$ " like sh; the other lines
//	                   are what it prints, as in an output block
//	    node           (js) as an ECMAScript module that finds the npm packages
//	                   of test/interop
//	    gorun          (go) a whole program, with go run
//	    message        (json) POST /v1/messages must accept it
//	    config         (yaml) herald config check must accept it
//	    php            (php) with php
//	    page           (html) in a headless Chromium, which prints the text of
//	                   the page when it changes
//	    make           only looks whether the Makefile has the targets: what
//	                   runs the tests cannot be run by a test
//	    clone          only looks whether it clones this repository and enters
//	                   it: a test has no network
//
// What a block says is changed in few places before it is run: "go run
// ./cmd/herald" becomes the binary that was built for the test, and the address
// http://127.0.0.1:7700 becomes the one that herald dev printed, and the words
// APP_KEY and MASTER_SECRET (also $APP_KEY and ${APP_KEY}) what it printed.
//
// In an output block every line must be found in what was printed, in the same
// order. "..." (or "…") in a line stands for any text, and a line of only
// "..." for any lines.
package readme
