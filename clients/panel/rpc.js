// SPDX-License-Identifier: GPL-2.0-or-later
// JSON-RPC 2.0 over one WebSocket that is opened again whenever it breaks. Knows nothing of calls or rooms.
//
//   connecting ──► online ──broken──► offline ──(0.5 s … 5 s)──► connecting
//        └──credentials needed──► login ──login(authorization)──► connecting
//
// Credentials are kept for this browser tab only, and travel in messages, never in an address.

const KEY = "cordboard.authorization";
const LONGEST_PAUSE_MS = 5000;

export class RpcError extends Error {
  constructor({ code = 0, message = "", data = null } = {}) {
    super(typeof data === "string" && data ? data : message);
    this.code = code;
  }
}

export class Rpc extends EventTarget {
  // Fires: "state" (this.state, this.reason, this.name changed), "notification" (detail: {method, params}).
  constructor(url) {
    super();
    this.url = url;
    this.state = "connecting";
    this.reason = "";
    this.name = "";
    this.methods = new Set();
    this.pauseMs = 0;
    this.failures = 0;
    this.waiting = new Map();
    this.number = 0;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
  }

  start() {
    clearTimeout(this.timer);
    this.set("connecting");
    const socket = this.socket = new WebSocket(this.url);
    socket.onopen = () => this.greet(socket);
    socket.onmessage = (message) => this.receive(JSON.parse(message.data));
    socket.onclose = () => socket === this.socket && this.closed();
  }

  retryNow() {
    if (this.state === "offline") this.start();
  }

  async greet(socket) {
    const authorization = sessionStorage.getItem(KEY);
    try {
      if (authorization) await this.call("rpc.authenticate", [authorization]);
      const { name, methods } = await this.call("rpc.permissions");
      this.name = name;
      this.methods = new Set(methods);
    } catch (error) {
      if (!(error instanceof RpcError)) return; // the connection broke meanwhile; `closed` sees to it
      sessionStorage.removeItem(KEY);
      this.askLogin(authorization ? error.message : "");
      return;
    }
    if (socket !== this.socket) return;
    this.pauseMs = this.failures = 0;
    this.set("online");
  }

  askLogin(reason) {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.dropWaiting();
    this.name = "";
    this.methods = new Set();
    this.set("login", reason);
  }

  login(authorization) {
    sessionStorage.setItem(KEY, authorization);
    this.start();
  }

  logout() {
    sessionStorage.removeItem(KEY);
    this.askLogin("");
  }

  get loggedIn() {
    return sessionStorage.getItem(KEY) !== null;
  }

  async closed() {
    this.dropWaiting();
    this.failures += 1;
    this.pauseMs = Math.min(Math.max(this.pauseMs * 2, 500), LONGEST_PAUSE_MS);
    this.timer = setTimeout(() => this.start(), this.pauseMs * (0.75 + Math.random() / 2));
    this.set("offline", this.failures > 2 && this.state !== "online" ? this.reason : "");
    if (this.failures !== 2) return;
    const answers = await fetch("/healthz", { cache: "no-store" }).then((reply) => reply.ok, () => false);
    if (answers && this.state !== "online") {
      this.set(this.state, "The server answers, but refuses this page's connection. If you reach it by a name or through a proxy, " +
        `put ${location.origin} into allowed_origins in web.conf.`);
    }
  }

  dropWaiting() {
    for (const { reject } of this.waiting.values()) reject(new Error("the connection to the server broke; try again"));
    this.waiting.clear();
  }

  set(state, reason = "") {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event("state"));
  }

  receive(message) {
    if (message.method) {
      this.dispatchEvent(new CustomEvent("notification", { detail: message }));
      return;
    }
    const waiting = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.error) waiting?.reject(new RpcError(message.error));
    else waiting?.resolve(message.result);
  }

  // The result of a call. Rejects with RpcError for an error answer, with Error when the connection is down.
  call(method, params = []) {
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("there is no connection to the server"));
    const id = ++this.number;
    this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  may(method) {
    return this.methods.has(method);
  }
}
