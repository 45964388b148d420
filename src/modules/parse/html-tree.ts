import { DOMParser } from 'linkedom';
import { html as html5, parse, type Token, type TreeAdapter, type TreeAdapterTypeMap } from 'parse5';
import { type TreeLimits, withLimits } from './html-limits.ts';

/** Numbers of node kinds (DOM §4.4); the constants of a browser's `Node` are not there. */
export const ELEMENT_NODE = 1;
export const TEXT_NODE = 3;
export const COMMENT_NODE = 8;
export const DOCUMENT_TYPE_NODE = 10;

/**
 * The document that a browser would build from the source (HTML §13.2), as linkedom nodes: parse5 builds the tree, linkedom is what
 * it builds from. linkedom's own parser makes another tree of many valid pages, so nothing else in the house may be fed to it.
 *
 * The content of a `template` are its children.
 * @throws TreeLimitError past the limits.
 */
export function parseDocument(source: string, limits: TreeLimits): Document {
  return parse<LinkedomMap>(source, { treeAdapter: withLimits(linkedomAdapter(), limits) });
}

type Parent = Document | DocumentFragment | Element;
type Child = Element | Text | Comment | DocumentType;
type LinkedomMap = TreeAdapterTypeMap<
  Parent | Child,
  Parent,
  Child,
  Document,
  DocumentFragment,
  Element,
  Comment,
  Text,
  HTMLTemplateElement,
  DocumentType
>;

/** Builds linkedom nodes for parse5. One adapter serves one document. */
export function linkedomAdapter(): TreeAdapter<LinkedomMap> {
  const document = new DOMParser().parseFromString('', 'text/html') as unknown as Document;
  let mode: html5.DOCUMENT_MODE = html5.DOCUMENT_MODE.NO_QUIRKS;
  const setAttributes = (element: Element, attributes: readonly Token.Attribute[]): void => {
    // linkedom puts each new one first.
    for (const { prefix, name, value } of attributes.toReversed()) {
      const attribute = document.createAttribute(prefix ? `${prefix}:${name}` : name);
      attribute.value = value;
      element.setAttributeNode(attribute);
      // linkedom tidies up the white space of a class.
      if (attribute.value !== value) attribute.value = value;
    }
  };
  const insert = (parent: Parent, node: Child, before: Child | null): void => {
    parent.insertBefore(node, before);
  };
  const extend = (text: Text, added: string): void => {
    text.textContent += added;
  };

  return {
    createDocument: () => document,
    createDocumentFragment: () => document.createDocumentFragment(),
    createElement(tagName, namespace, attributes) {
      const element =
        namespace === html5.NS.HTML ? document.createElement(tagName) : document.createElementNS(html5.NS.SVG, tagName);
      if (namespace === html5.NS.MATHML) Object.defineProperty(element, 'namespaceURI', { value: namespace });
      setAttributes(element, attributes);
      return element;
    },
    createCommentNode: (data) => document.createComment(data),
    createTextNode: (value) => document.createTextNode(value),

    appendChild: (parent, node) => insert(parent, node, null),
    insertBefore: insert,
    detachNode: (node) => node.remove(),
    insertText(parent, text) {
      const last = parent.lastChild;
      if (last?.nodeType === TEXT_NODE) extend(last as Text, text);
      else parent.insertBefore(document.createTextNode(text), null);
    },
    insertTextBefore(parent, text, reference) {
      const before = reference.previousSibling;
      if (before?.nodeType === TEXT_NODE) extend(before as Text, text);
      else parent.insertBefore(document.createTextNode(text), reference);
    },
    adoptAttributes(recipient, attributes) {
      setAttributes(
        recipient,
        attributes.filter(({ name }) => !recipient.hasAttribute(name)),
      );
    },

    // Serialising, selectors and text all look at the children, so the content stays there.
    setTemplateContent: () => undefined,
    getTemplateContent: (template) => template as unknown as DocumentFragment,
    setDocumentType(target, name, publicId, systemId) {
      target.insertBefore(
        (document as unknown as DOMImplementation).createDocumentType(name, publicId, systemId),
        target.firstChild,
      );
    },
    setDocumentMode: (_, value) => {
      mode = value;
    },
    getDocumentMode: () => mode,

    getFirstChild: (node) => node.firstChild as Child | null,
    getChildNodes: (node) => node.childNodes as unknown as Child[],
    getParentNode: (node) => node.parentNode as Parent | null,
    getAttrList: (element) => [...element.attributes].map(({ name, value }) => ({ name, value })),
    getTagName: (element) => element.localName,
    getNamespaceURI: (element) => element.namespaceURI as html5.NS,
    getTextNodeContent: (text) => text.textContent,
    getCommentNodeContent: (comment) => comment.textContent,
    getDocumentTypeNodeName: (type) => type.name,
    getDocumentTypeNodePublicId: (type) => type.publicId,
    getDocumentTypeNodeSystemId: (type) => type.systemId,
    isTextNode: (node): node is Text => node.nodeType === TEXT_NODE,
    isCommentNode: (node): node is Comment => node.nodeType === COMMENT_NODE,
    isDocumentTypeNode: (node): node is DocumentType => node.nodeType === DOCUMENT_TYPE_NODE,
    isElementNode: (node): node is Element => node.nodeType === ELEMENT_NODE,
    setNodeSourceCodeLocation: () => undefined,
    getNodeSourceCodeLocation: () => null,
    updateNodeSourceCodeLocation: () => undefined,
  };
}

export function isElement(node: Node): node is Element {
  return node.nodeType === ELEMENT_NODE;
}
