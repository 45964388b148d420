import { describe, expect, test } from 'bun:test';
import { buildTree, readTreeCases } from '../../support/html5lib.ts';

const CASES = `#data
<DIV ID=A CLASS='b  c'>x
#document
| <html>
|   <head>
|   <body>
|     <div>
|       class="b  c"
|       id="A"
|       "x"

#data
<p>1<div>2</p>3
#document
| <html>
|   <head>
|   <body>
|     <p>
|       "1"
|     <div>
|       "2"
|       <p>
|       "3"

#data
<!doctype html><table><tr><td>a</table>b
#document
| <!DOCTYPE html>
| <html>
|   <head>
|   <body>
|     <table>
|       <tbody>
|         <tr>
|           <td>
|             "a"
|     "b"

#data
<b><i>x</b>y</i>
#document
| <html>
|   <head>
|   <body>
|     <b>
|       <i>
|         "x"
|     <i>
|       "y"

#data
<table>a<b>c<tr>d
#document
| <html>
|   <head>
|   <body>
|     "a"
|     <b>
|       "c"
|     <b>
|       "d"
|     <table>
|       <tbody>
|         <tr>

#data
<svg viewbox=1><foreignobject><p>x</svg>y
#document
| <html>
|   <head>
|   <body>
|     <svg svg>
|       viewBox="1"
|       <svg foreignObject>
|         <p>
|           "xy"

#data
<math><mi xlink:href=a>x</math>
#document
| <html>
|   <head>
|   <body>
|     <math math>
|       <math mi>
|         xlink href="a"
|         "x"

#data
<template><td>x</template>
#document
| <html>
|   <head>
|     <template>
|       content
|         <td>
|           "x"
|   <body>

#data
<noscript><p>x
#document
| <html>
|   <head>
|     <noscript>
|   <body>
|     <p>
|       "x"
#script-off

#data
<textarea>
<b>&amp;</textarea><title>&lt;
#document
| <html>
|   <head>
|   <body>
|     <textarea>
|       "<b>&"
|     <title>
|       "<"

#data
<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd"><!--a--><html lang=x><html lang=y id=z>
#document
| <!DOCTYPE html "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
| <!-- a -->
| <html>
|   id="z"
|   lang="x"
|   <head>
|   <body>

#data
x</td>y
#document-fragment
td
#document
| "xy"
`;

describe('the tree of a page', () => {
  for (const each of readTreeCases(CASES)) {
    test(`${JSON.stringify(each.data)}${each.scripting ? '' : ', without scripts'}`, () => {
      expect(buildTree(each)).toBe(each.tree);
    });
  }
});
