// Package provider hands messages to those who reach people in our place: the
// push service of a phone's maker, a mail server, a telephone network, a chat
// room. One folder below is one of them.
//
// A [Provider] sends one message to one address, once, and says what came of
// it. It decides nothing about who gets a message, when, in which order or how
// often: what it answers is one of six kinds of error, and each kind is one
// thing that the platform does. It never cuts a text without saying so.
package provider
