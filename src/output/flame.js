// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// The flame graph at work. Without it the picture is the same, and still.
(function () {
	"use strict";
	var svg = document.currentScript ? document.currentScript.ownerSVGElement : document.documentElement;
	var in_bytes = svg.getAttribute("data-unit") === "bytes";
	var details = svg.querySelector("#details"), hint = details.textContent;
	var search = svg.querySelector("#search"), found = svg.querySelector("#found");
	var open = [], zoomed, total, column, width;

	// Frames come root first, each before those that it called.
	var frames = Array.prototype.map.call(svg.querySelectorAll(".f"), function (el, i) {
		var title = el.querySelector("title").textContent.split("\n");
		var frame = {
			el: el, text: el.querySelector("text"), name: title[0], says: title.join("  \u2013  "),
			x: parseFloat(el.getAttribute("x")), w: parseFloat(el.getAttribute("width")),
			value: Number(el.getAttribute("data-v")), depth: Number(el.getAttribute("data-d")),
			children: [], last: i, index: i, parent: null
		};

		open.length = frame.depth;
		frame.parent = open[frame.depth - 1] || null;
		open.forEach(function (f) { f.last = i; });
		open[frame.depth] = frame;
		if (frame.parent)
			frame.parent.children.push(frame);
		el.setAttribute("role", "button");
		el.setAttribute("aria-label", frame.says);
		el.frame = frame;
		return frame;
	});

	function size(value) {
		var units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"], i = 0;

		if (!in_bytes)
			return value.toLocaleString("en");
		for (; value >= 1024 && i < 6; i++)
			value /= 1024;
		return (i ? value.toFixed(1) : value) + " " + units[i];
	}

	function share(part, whole) {
		return whole ? (100 * part / whole).toFixed(2) + " %" : "";
	}

	// As much of a text as so many pixels show.
	function cut(text, pixels) {
		var room = Math.floor(pixels / column);

		if (text.length <= room)
			return text;
		return room < 3 ? "" : text.slice(0, room - 1) + "\u2026";
	}

	function label(frame, percent) {
		var text = cut(frame.name, percent / 100 * width - 6);

		if (!text && !frame.text)
			return;
		if (!frame.text) {
			frame.text = document.createElementNS(svg.namespaceURI, "text");
			frame.text.setAttribute("x", "3");
			frame.text.setAttribute("y", "13");
			frame.el.appendChild(frame.text);
		}
		if (frame.text.textContent !== text)
			frame.text.textContent = text;
	}

	function place(frame, x, w, above) {
		frame.el.style.display = "";
		frame.el.setAttribute("x", x + "%");
		frame.el.setAttribute("width", w + "%");
		frame.el.classList.toggle("above", above);
		label(frame, w);
	}

	function zoom(to) {
		var above = [];

		zoomed = to;
		for (var f = to.parent; f; f = f.parent)
			above.push(f);
		frames.forEach(function (frame) {
			if (frame.index >= to.index && frame.index <= to.last)
				place(frame, (frame.x - to.x) / to.w * 100, frame.w / to.w * 100, false);
			else if (above.indexOf(frame) >= 0)
				place(frame, 0, 100, true);
			else
				frame.el.style.display = "none";
		});
	}

	function tell(frame) {
		var text = frame ? frame.says : hint;

		if (frame && zoomed !== frames[0] && frame.index >= zoomed.index && frame.index <= zoomed.last)
			text += "  \u2013  " + share(frame.value, zoomed.value) + " of " + zoomed.name;
		details.textContent = cut(text, width - 20);
	}

	// What lies below a match is in it already.
	function find() {
		var term = search.value.toLowerCase(), sum = 0, count = 0, past = -1;

		frames.forEach(function (frame) {
			var hit = term !== "" && frame.name.toLowerCase().indexOf(term) >= 0;

			frame.el.classList.toggle("hit", hit);
			if (!hit)
				return;
			count++;
			if (frame.index > past) {
				sum += frame.value;
				past = frame.last;
			}
		});
		found.textContent = term === "" ? "" :
			count ? share(sum, total) + " matched (" + size(sum) + ")" : "no match";
	}

	function reset() {
		search.value = "";
		find();
		zoom(frames[0]);
		tell(null);
	}

	function focus(frame) {
		if (!frame || frame.el.style.display === "none")
			return;
		frames.forEach(function (f) { f.el.setAttribute("tabindex", "-1"); });
		frame.el.setAttribute("tabindex", "0");
		frame.el.focus();
	}

	function beside(frame, step) {
		var list = frame.parent ? frame.parent.children : [frame];

		return list[list.indexOf(frame) + step];
	}

	function measure() {
		var probe = document.createElementNS(svg.namespaceURI, "text");

		probe.textContent = "mmmmmmmmmmmmmmmmmmmm";
		svg.appendChild(probe);
		column = probe.getComputedTextLength() / 20 || 7.3;
		svg.removeChild(probe);
		width = svg.getBoundingClientRect().width || 1200;
	}

	function frame_of(event) {
		var el = event.target.closest ? event.target.closest(".f") : null;

		return el ? el.frame : null;
	}

	function on_key(event) {
		var frame = frame_of(event), to = null;

		if (event.key === "Escape") {
			reset();
			focus(frames[0]);
		} else if (event.target === search) {
			return;
		} else if (event.key === "/") {
			search.focus();
		} else if (!frame) {
			return;
		} else if (event.key === "Enter" || event.key === " ") {
			zoom(frame);
			tell(frame);
		} else {
			to = {
				ArrowUp: frame.parent, ArrowDown: frame.children[0],
				ArrowLeft: beside(frame, -1), ArrowRight: beside(frame, 1)
			}[event.key];
			if (!to)
				return;
			focus(to);
		}
		event.preventDefault();
	}

	svg.setAttribute("width", "100%");
	svg.querySelector("#tools").style.display = "";
	total = frames[0].value;
	measure();
	zoom(frames[0]);
	frames[0].el.setAttribute("tabindex", "0");
	svg.addEventListener("click", function (event) {
		var frame = frame_of(event);

		if (frame) {
			zoom(frame);
			tell(frame);
		}
	});
	svg.addEventListener("mouseover", function (event) { tell(frame_of(event)); });
	svg.addEventListener("focusin", function (event) { tell(frame_of(event)); });
	svg.addEventListener("keydown", on_key);
	search.addEventListener("input", find);
	svg.querySelector("#reset").addEventListener("click", reset);
	window.addEventListener("resize", function () {
		measure();
		zoom(zoomed);
	});
})();
