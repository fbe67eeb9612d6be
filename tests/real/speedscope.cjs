// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// node speedscope.cjs PACKAGE FILE: imports FILE as speedscope's page does with one that is dropped on
// it, and prints as JSON the total weight and the weight of each frame, by itself and in all.
//
// The package holds the page's script alone, whose functions are not for others. It is run up to
// where it begins to draw, with a page that is not there, and its importer handed out.
"use strict";
const fs = require("fs"), path = require("path"), vm = require("vm");

const release = path.join(process.argv[2], "dist/release");
const script = fs.readdirSync(release).find((name) => /^speedscope-.*\.js$/.test(name));
const source = fs.readFileSync(path.join(release, script), "utf8");
const importer = /loadFileFromBase64:\([^)]*\)=>\{this\.loadProfile\(\(\)=>([\w$]+)\(/.exec(source);
const drawing = source.lastIndexOf("console.log(`speedscope v");

if (!importer || drawing < 0) {
	console.error("this speedscope has another shape");
	process.exit(1);
}

// Whatever is asked of it, it is there and does nothing.
function nothing() {
	return new Proxy(function () {}, {
		get: (_, key) => key === Symbol.toPrimitive ? () => "" : nothing(),
		set: () => true, apply: () => nothing(), construct: () => nothing()
	});
}

const page = {
	console: { log() {}, warn() {}, error() {} }, setTimeout, TextDecoder, TextEncoder, atob, btoa, URL,
	performance, document: nothing(), localStorage: nothing(), matchMedia: nothing(),
	navigator: { userAgent: "", platform: "" }, location: { protocol: "file:", hash: "", search: "" },
	addEventListener() {}
};

page.window = page.self = page;
vm.createContext(page);
vm.runInContext(`${source.slice(0, drawing)}globalThis.importFile = ${importer[1]};})();`, page);
page.importFile(path.basename(process.argv[3]), fs.readFileSync(process.argv[3]).toString("base64"))
	.then((group) => {
		const profile = group.profiles[0], frames = {};

		profile.forEachFrame((frame) => {
			frames[frame.name] = { self: frame.getSelfWeight(), total: frame.getTotalWeight() };
		});
		console.log(JSON.stringify({ profiles: group.profiles.length, total: profile.getTotalWeight(), frames }));
	});
